"""The AWS half of `env.create` and `env.delete`: the stack, the first deploy, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.errors import PipelineError
from ..core.events import Reporter
from ..core.manifest import BUCKET
from ..core.names import ALIAS, release_in, resource_name
from ..core.templates import declared_values, resolve
from ..core.text import counted
from ..deploy.aws_errors import Missing, explained_errors
from ..package.contents import Package
from ..project.project import Environment, Project
from ..project.stack import stack_text
from ..stack.change_set import (
    ENVIRONMENT,
    EXPIRES,
    LIKE,
    PROTECTED,
    SERVICE,
    ChangeSet,
    Wanted,
    apply_change_set,
    discard,
    make_change_set,
    owned_by,
    parameters_for,
    refuse_losses,
    refuse_lost_alias,
    tags_of,
    was_executed,
)
from ..stack.removal import Removal, audit, remove_stack, stop_sources, what_would_go
from .build import fresh_package
from .deploy_here import (
    DeployOptions,
    packages_at_hand,
)
from .env_octopus import OctopusHalf
from .env_place import Asked
from .env_smoke import smoke_through_bucket
from .last_build import chosen_package, refuse_unfit
from .which_function import Place

# What --package says to have the last build in an environment that is like another one.
LAST = "last"
_OF_ENVIRONMENT = "#{Octopus.Environment.Name}"
# These were never whole, or are not any more: CloudFormation changes them no more.
_BROKEN = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED")


def create_stack(asked: Asked, octopus: OctopusHalf | None = None) -> dict[str, str]:
    """Make or update an environment, deploy to it, and return the outputs of its stack.

    Everything is checked first that can be before anything is made; then comes its half in
    Octopus. What this run made is undone where something fails, unless `keep_on_failure` says
    otherwise. Raises PipelineError for a stack of somebody else, and for what CloudFormation,
    Octopus or the function refuses.
    """
    project, options, reporter = asked.project, asked.options, asked.reporter
    environment = asked.environment
    where = f"env.create {environment.name}"
    name = resource_name(environment.name, project.function.name)
    template = stack_text(project.root)
    asked.means.check(project, asked.machine, reporter)
    package, release = (None, "") if options.dry_run else _what(asked, where, octopus)
    place = asked.place_in(environment, package)
    stacks, removal = place.stacks, _removal(project, place, where)
    there = _own_stack(removal, project)
    parameters_for(stacks, where, template, {}, environment.parameters)
    change: ChangeSet | None = None
    try:
        if octopus and not options.dry_run:
            octopus.make()
        if not options.dry_run:
            there = _usable(removal, reporter)
        known = {"FunctionName": name, **_live(place.connection.functions, name)}
        wanted = Wanted(
            name,
            template,
            parameters_for(stacks, where, template, known, environment.parameters),
            _tags(asked, there),
            environment.permanent,
            where,
        )
        shown = make_change_set(stacks, wanted, keep_on_failure=options.keep_on_failure)
        for line in shown.lines():
            reporter.line(line)
        try:
            refuse_lost_alias(shown)
            refuse_losses(shown, options.confirm, environment.name)
        except PipelineError:
            discard(stacks, shown)
            raise
        if options.dry_run:
            if not shown.changes:
                reporter.line(f"    {name} would stay as it is")
            discard(stacks, shown)
            return {}
        change = shown
        with reporter.stage("stack") as stage:
            outputs = apply_change_set(stacks, change, reporter)
            word = "created" if change.is_new else "updated" if change.changes else "is as it was"
            stage.text = f"{name} {word}"
        if octopus and octopus.releases:
            octopus.deploy(package, release)
        elif package:
            # The last one of a name counts.
            named = replace(project, environments=(*project.environments, environment))
            wish = DeployOptions(environment.name)
            opened = Package.open(package)
            asked.means.deploy(named, opened, wish, place.credentials, place.environ, reporter)
        _smoke(asked, place, outputs)
    except PipelineError:
        if options.keep_on_failure:
            reporter.line("    it is left as it is: the same command continues")
        else:
            _undo(removal, change, octopus, environment.name, reporter)
        raise
    except KeyboardInterrupt:
        reporter.warn(
            f"{where} was interrupted; what was asked of AWS goes on there. The same command "
            f"waits for its end and continues; `python3 tasks.py env.delete {environment.name}` "
            "takes away what there is."
        )
        raise
    return outputs


def delete_stack(asked: Asked, octopus_half: Callable[[], object] = lambda: None) -> list[str]:
    """Take an environment away, and return what an audit still finds of it afterwards.

    `octopus_half` runs once nothing calls the function any more, and before its stack goes.
    Where nobody says in which account it is, all declared ones are looked at. Raises PipelineError
    for a permanent one without its name in `confirm`.
    """
    project, options, reporter = asked.project, asked.options, asked.reporter
    if asked.is_placed and asked.environment.permanent and not options.dry_run:
        name = asked.environment.name
        if options.confirm != name:
            then = f"If it is to go, pass --confirm {name}."
            raise PipelineError(f"env.delete {name}", "it is declared as permanent", then)
    unread: list[str] = []
    removals = [
        _removal(project, place, f"env.delete {place.environment.name}")
        for place in asked.places(unread)
    ]
    for text in unread:
        reporter.warn(text)
    for removal in removals:
        _own_stack(removal, project)
    if options.dry_run:
        for removal in removals:
            for line in what_would_go(removal) or [f"    there is no stack {removal.name}"]:
                reporter.line(line)
        octopus_half()
        return []
    left: list[str] = []
    try:
        with reporter.stage(f"delete {options.name}") as stage:
            found = [_stopped(removal, reporter) for removal in removals]
            octopus_half()
            for removal, inventory in zip(removals, found, strict=True):
                remove_stack(removal, inventory, reporter)
                left += audit(removal, inventory)
            nothing = f"nothing is left in AWS{', where it was read' if unread else ''}"
            stage.text = f"{counted(len(left), 'thing')} left" if left else nothing
    except KeyboardInterrupt:
        reporter.warn(
            f"env.delete {options.name} was interrupted; the same command continues, until "
            "nothing is left."
        )
        raise
    return left


def _undo(
    removal: Removal, change: ChangeSet | None, octopus: OctopusHalf | None, name: str,
    reporter: Reporter,
) -> None:  # fmt: skip
    """Take away what was made; what cannot be is told, as the error before counts.

    `change` is that of the stack, once it is applied.
    """
    try:
        if change and change.id and was_executed(removal.stacks, change) and change.is_new:
            reporter.line(f"    {removal.name} was new: it is taken away again")
            remove_stack(removal, _stopped(removal, reporter), reporter)
        # A stack that stays is another run's, which needs the other half, too.
        if octopus and not removal.stacks.find(removal.name):
            octopus.undo()
    except PipelineError as error:
        reporter.warn(
            f"not undone: {error.what}\n`python3 tasks.py env.delete {name}` takes away what "
            "is left."
        )


def _stopped(removal: Removal, reporter: Reporter) -> Any:
    """Return what there is once nothing calls it, and nothing else is going on in the stack."""
    there = removal.stacks.find(removal.name)
    # A stack that is being made, or deleted, can be deleted.
    if there and there["StackStatus"] not in ("CREATE_IN_PROGRESS", "DELETE_IN_PROGRESS"):
        removal.stacks.idle(removal.where, removal.name, reporter)
    found = removal.inventory()
    stop_sources(removal, found, reporter)
    return found


def _is_new(there: Mapping[str, Any] | None) -> bool:
    return there is None or there["StackStatus"] == "REVIEW_IN_PROGRESS"


def _usable(removal: Removal, reporter: Reporter) -> dict[str, Any] | None:
    """Return the stack as it can be changed; what is left of a broken one goes first."""
    there = removal.stacks.idle(removal.where, removal.name, reporter)
    status = str(there["StackStatus"]) if there else ""
    if status not in _BROKEN:
        return there
    if removal.keeps and status != "ROLLBACK_COMPLETE":
        what = f"its stack is {status}: {removal.stacks.reason(removal.name)}"
        raise PipelineError(removal.where, what, "Settle that in CloudFormation first.")
    reporter.line(f"    {removal.name} is {status}: what is left of it goes first")
    remove_stack(removal, _stopped(removal, reporter), reporter)
    return None


def _removal(project: Project, place: Place, where: str) -> Removal:
    environment = place.environment
    return Removal(
        place.function,
        place.clients,
        place.stacks,
        environment.permanent,
        where,
        {SERVICE: project.package_id, ENVIRONMENT: environment.name},
        _objects(project, environment, place.environ),
    )


def _objects(
    project: Project, environment: Environment, environ: Mapping[str, str]
) -> tuple[str, str]:
    """Return the bucket of deployments and the prefix that is this environment's alone, or none."""
    bucket, _, prefix = project.function.bucket.partition("/")
    if environment.permanent or _OF_ENVIRONMENT not in prefix:
        return "", ""
    texts = {BUCKET: bucket, "prefix": prefix}
    try:
        values = declared_values(texts, environment.declared(), environ)
        found = resolve(texts, values, where="bucket")
    except PipelineError:
        return "", ""  # nothing can have been deployed through it from here
    return found[BUCKET], f"{found['prefix'].rstrip('/')}/"


def _what(asked: Asked, where: str, octopus: OctopusHalf | None) -> tuple[Path | None, str]:
    """Return the package that is deployed at the end, or the version of Octopus's release of it.

    Everything that can be wrong with it is said here.
    """
    project, options, environment = asked.project, asked.options, asked.environment
    named = None if options.package == LAST else options.package
    if options.local:
        path = fresh_package(project, named, asked.machine, asked.reporter)
    elif named:
        path = chosen_package(named, project.root)
    else:
        model = options.like or (environment.name if environment.permanent else "")
        like = project.environment(model) if model else None
        release = _running(asked, like) if like and not options.package else ""
        if like and release:
            asked.reporter.line(f"    {like.name} runs {release}: that is deployed")
            if octopus and octopus.releases and octopus.has_release(release):
                return None, release
            if release not in (at_hand := packages_at_hand(project)):
                what = f"{like.name} runs {release}, whose package is not here"
                then = f"Name it with --package, or take the last build: --package {LAST}."
                raise PipelineError(where, what, then)
            path = Path(at_hand[release])
        else:
            verified = environment.permanent
            path = refuse_unfit(project, where, asked.machine.environ, verified=verified)
    Package.open(path).own_manifest()
    return path, ""


def _running(asked: Asked, like: Environment) -> str:
    """Return the version of the release that an environment's `live` leads to, "" for none."""
    function = resource_name(like.name, asked.project.function.name)
    functions = asked.place_in(like).connection.functions
    try:
        with explained_errors(f"function {function}", "lambda:GetFunctionConfiguration"):
            found = functions.get_function_configuration(FunctionName=function, Qualifier=ALIAS)
    except Missing:
        return ""
    return release_in(str(found.get("Description", "")))[0]


def _tags(asked: Asked, there: Mapping[str, Any] | None) -> dict[str, str]:
    """Return what all of the stack carries; an end or a likeness that it has stays."""
    project, options, environment = asked.project, asked.options, asked.environment
    before = tags_of(there or {})
    kept = {key: before[key] for key in (EXPIRES, LIKE) if key in before}
    own = {SERVICE: project.package_id, ENVIRONMENT: environment.name}
    tags = {**project.function.tags, **own, **kept}
    if options.expires:
        tags[EXPIRES] = options.expires.strftime("%Y-%m-%dT%H:%MZ")
    if options.like and not environment.permanent:
        tags[LIKE] = project.environment(options.like).name
    return tags


def _smoke(asked: Asked, place: Place, outputs: Mapping[str, str]) -> None:
    """Let a file go the whole way, in an environment that is nobody else's."""
    bucket, name = outputs.get("BucketName", ""), place.environment.name
    if place.environment.permanent or not bucket:
        return
    if not _removal(asked.project, place, f"smoke {name}").is_told_by(bucket):
        return
    try:
        smoke_through_bucket(place, asked.project.root, bucket, asked.reporter)
    except PipelineError as error:
        if not asked.options.local:
            raise
        # What it sends to may not run on this machine.
        asked.reporter.warn(f"{error.where}: {error.what.partition(chr(10))[0]}\n{error.then}")


def _own_stack(removal: Removal, project: Project) -> dict[str, Any] | None:
    """Return the stack, None where there is none.

    Raises PipelineError for one of another service (a permanent one may be older than the tag), one
    that is permanent where that is not declared, and where there is ours in another spelling: AWS
    tells upper case from lower case, and Octopus does not.
    """
    name, where = removal.name, removal.where
    there = removal.stacks.find(name)
    if there is None:
        for one in removal.stacks.pages(where, "describe_stacks", "Stacks"):
            other = str(one["StackName"])
            if other.casefold() == name.casefold() and owned_by(one) == project.package_id:
                then = f"Name it in that spelling: {tags_of(one).get(ENVIRONMENT, other)}."
                raise PipelineError(where, f"its stack is called {other}", then)
        return None
    if there.get(PROTECTED) and not removal.keeps:
        what = f"the stack {there['StackName']} is protected, as a permanent environment's is"
        then = (
            "Declare that environment with permanent = true in pyproject.toml; or take the "
            "protection off in CloudFormation, if it is none."
        )
        raise PipelineError(where, what, then)
    owner = owned_by(there)
    # One that is left in review has no tags yet, and nothing in it.
    if owner == project.package_id or (not owner and (removal.keeps or _is_new(there))):
        return there
    what = f"there is a stack {there['StackName']} that is " + (owner or "nobody's by its tags")
    then = "Choose another name; or delete that stack if nobody needs it."
    raise PipelineError(where, what, then)


def _live(functions: Any, name: str) -> dict[str, str]:
    """Return what a deploy has set, so that an update of the stack sends it again."""
    try:
        with explained_errors(f"function {name}", "lambda:GetFunctionConfiguration"):
            found = functions.get_function_configuration(FunctionName=name)
    except Missing:
        return {}
    live = {"Runtime": found.get("Runtime"), "Handler": found.get("Handler")}
    live["Architecture"] = next(iter(found.get("Architectures", ())), None)
    return {key: str(value) for key, value in live.items() if value}
