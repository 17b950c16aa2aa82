"""The AWS half of `env.create` and `env.delete`: the stack, the first deploy, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..core.errors import PipelineError
from ..core.events import Reporter
from ..core.manifest import BUCKET
from ..core.names import ALIAS, release_in, resource_name
from ..core.templates import declared_values, resolve
from ..core.text import counted
from ..deploy.aws_errors import Missing, explained_errors
from ..edge.machine import Machine
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
    Stacks,
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
    refuse_unfit,
    worker_credentials,
)
from .env_octopus import OctopusHalf
from .env_place import (
    MEANS,
    Means,
    StackOptions,
    Target,
    environment_of,
    is_placed,
    target_of,
    targets_of,
)
from .env_smoke import smoke_through_bucket
from .which_package import chosen_package

# What --package says to have the last build in an environment that is like another one.
LAST = "last"
_OF_ENVIRONMENT = "#{Octopus.Environment.Name}"
# These were never whole, or are not any more: CloudFormation changes them no more.
_BROKEN = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED")


def create_stack(
    project: Project,
    options: StackOptions,
    machine: Machine,
    reporter: Reporter,
    octopus: OctopusHalf | None = None,
    means: Means = MEANS,
) -> dict[str, str]:
    """Make or update an environment, deploy to it, and return the outputs of its stack.

    Everything is checked first that can be before anything is made; then comes its half in
    Octopus. What this run made is undone where something fails, unless `keep_on_failure` says
    otherwise. Raises PipelineError for a stack of somebody else, and for what CloudFormation,
    Octopus or the function refuses.
    """
    environment = environment_of(project, options)
    where = f"env.create {environment.name}"
    name = resource_name(environment.name, project.function.name)
    template = stack_text(project.root)
    means.check(project, machine, reporter)
    package: Path | None = None
    release = ""
    if not options.dry_run:
        package, release = _what(project, environment, options, machine, reporter, octopus, means)
    target = target_of(project, environment, options, machine, reporter, package, means)
    stacks = target.stacks
    there = _own_stack(stacks, name, project, environment.permanent, where)
    parameters_for(stacks, where, template, {}, environment.parameters)
    made = _Made(project, options, reporter, octopus, target)
    try:
        if octopus and not options.dry_run:
            octopus.make()
        if not options.dry_run:
            there = _usable(stacks, made.removal(where), environment, reporter)
        known = {"FunctionName": name, **_live(target.place.connection.functions, name)}
        wanted = Wanted(
            name,
            template,
            parameters_for(stacks, where, template, known, environment.parameters),
            _tags(project, environment, options, there),
            environment.permanent,
            where,
        )
        change = make_change_set(stacks, wanted, keep_on_failure=options.keep_on_failure)
        for line in change.lines():
            reporter.line(line)
        try:
            refuse_lost_alias(change)
            refuse_losses(change, options.confirm, environment.name)
        except PipelineError:
            discard(stacks, change)
            raise
        if options.dry_run:
            if not change.changes:
                reporter.line(f"    {name} would stay as it is")
            discard(stacks, change)
            return {}
        made.change = change
        with reporter.stage("stack") as stage:
            outputs = apply_change_set(stacks, change, reporter)
            word = "created" if change.is_new else "updated" if change.changes else "is as it was"
            stage.text = f"{name} {word}"
        if octopus and octopus.releases:
            octopus.deploy(package, release)
        elif package:
            named = replace(project, environments=_with(project, environment))
            wish = DeployOptions(environment.name)
            opened = Package.open(package)
            means.deploy(named, opened, wish, target.credentials, target.environ, reporter)
        _smoke(environment, made, outputs, reporter)
    except PipelineError:
        made.undo(where)
        raise
    except KeyboardInterrupt:
        reporter.warn(
            f"{where} was interrupted; what was asked of AWS goes on there. The same command "
            f"waits for its end and continues; `python3 tasks.py env.delete {environment.name}` "
            "takes away what there is."
        )
        raise
    return outputs


def delete_stack(
    project: Project,
    options: StackOptions,
    machine: Machine,
    reporter: Reporter,
    octopus_half: Callable[[], object] = lambda: None,
    means: Means = MEANS,
) -> list[str]:
    """Take an environment away, and return what an audit still finds of it afterwards.

    `octopus_half` runs once nothing calls the function any more, and before its stack goes.
    Where nobody says in which account it is, all declared ones are looked at. Raises PipelineError
    for a permanent one without its name in `confirm`.
    """
    declared = [environment_of(project, options)] if is_placed(project, options) else []
    if declared and declared[0].permanent and not options.dry_run:
        environment = declared[0]
        if options.confirm != environment.name:
            then = f"If it is to go, pass --confirm {environment.name}."
            where = f"env.delete {environment.name}"
            raise PipelineError(where, "it is declared as permanent", then)
    unread: list[str] = []
    removals = [
        _removal(project, environment, target, f"env.delete {environment.name}")
        for environment, target in targets_of(
            project, options, declared, machine, reporter, means, unread
        )
    ]
    for text in unread:
        reporter.warn(text)
    for removal in removals:
        _own_stack(removal.stacks, removal.name, project, removal.keeps, removal.where)
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


@dataclass
class _Made:
    """What a run of `env.create` has to undo: `change` is that of the stack, once it is applied."""

    project: Project
    options: StackOptions
    reporter: Reporter
    octopus: OctopusHalf | None
    target: Target
    change: ChangeSet | None = None

    def removal(self, where: str) -> Removal:
        return _removal(self.project, self.target.place.environment, self.target, where)

    def undo(self, where: str) -> None:
        """Take away what was made; what cannot be is told, as the error before counts."""
        if self.options.keep_on_failure:
            self.reporter.line("    it is left as it is: the same command continues")
            return
        try:
            change, stacks = self.change, self.target.stacks
            if change and change.id and was_executed(stacks, change) and change.is_new:
                removal = self.removal(where)
                self.reporter.line(f"    {removal.name} was new: it is taken away again")
                remove_stack(removal, _stopped(removal, self.reporter), self.reporter)
            # A stack that stays is another run's, which needs the other half, too.
            if self.octopus and not stacks.find(self.target.place.function):
                self.octopus.undo()
        except PipelineError as error:
            name = self.target.place.environment.name
            self.reporter.warn(
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


def _usable(
    stacks: Stacks, removal: Removal, environment: Environment, reporter: Reporter
) -> dict[str, Any] | None:
    """Return the stack as it can be changed; what is left of a broken one goes first."""
    there = stacks.idle(removal.where, removal.name, reporter)
    status = str(there["StackStatus"]) if there else ""
    if status not in _BROKEN:
        return there
    if environment.permanent and status != "ROLLBACK_COMPLETE":
        what = f"its stack is {status}: {stacks.reason(removal.name)}"
        raise PipelineError(removal.where, what, "Settle that in CloudFormation first.")
    reporter.line(f"    {removal.name} is {status}: what is left of it goes first")
    remove_stack(removal, _stopped(removal, reporter), reporter)
    return None


def _with(project: Project, environment: Environment) -> tuple[Environment, ...]:
    others = (
        one for one in project.environments if one.name.casefold() != environment.name.casefold()
    )
    return (*others, environment)


def _removal(project: Project, environment: Environment, target: Target, where: str) -> Removal:
    return Removal(
        target.place.function,
        target.clients,
        target.stacks,
        environment.permanent,
        where,
        {SERVICE: project.package_id, ENVIRONMENT: environment.name},
        _objects(project, environment, target.environ),
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


def _what(
    project: Project, environment: Environment, options: StackOptions, machine: Machine,
    reporter: Reporter, octopus: OctopusHalf | None, means: Means,
) -> tuple[Path | None, str]:  # fmt: skip
    """Return the package that is deployed at the end, or the version of Octopus's release of it.

    Everything that can be wrong with it is said here.
    """
    where = f"env.create {environment.name}"
    named = None if options.package == LAST else options.package
    if options.local:
        path = fresh_package(project, named, machine, reporter)
    elif named:
        path = chosen_package(named, project.root)
    else:
        model = options.like or (environment.name if environment.permanent else "")
        like = project.environment(model) if model else None
        release = _running(project, like, machine, means) if like and not options.package else ""
        if like and release:
            reporter.line(f"    {like.name} runs {release}: that is deployed")
            if octopus and octopus.releases and octopus.has_release(release):
                return None, release
            if release not in (at_hand := packages_at_hand(project)):
                what = f"{like.name} runs {release}, whose package is not here"
                then = f"Name it with --package, or take the last build: --package {LAST}."
                raise PipelineError(where, what, then)
            path = Path(at_hand[release])
        else:
            verified = environment.permanent
            latest = refuse_unfit(project, where, machine.environ, verified=verified)
            path = latest.package_path(project.root)
    Package.open(path).own_manifest()
    return path, ""


def _running(project: Project, like: Environment, machine: Machine, means: Means) -> str:
    """Return the version of the release that an environment's `live` leads to, "" for none."""
    function = resource_name(like.name, project.function.name)
    functions = means.connect(worker_credentials(like, machine.environ), like.place()).functions
    try:
        with explained_errors(f"function {function}", "lambda:GetFunctionConfiguration"):
            found = functions.get_function_configuration(FunctionName=function, Qualifier=ALIAS)
    except Missing:
        return ""
    return release_in(str(found.get("Description", "")))[0]


def _tags(
    project: Project, environment: Environment, options: StackOptions,
    there: Mapping[str, Any] | None,
) -> dict[str, str]:  # fmt: skip
    """Return what all of the stack carries; an end or a likeness that it has stays."""
    before = tags_of(there or {})
    kept = {key: before[key] for key in (EXPIRES, LIKE) if key in before}
    own = {SERVICE: project.package_id, ENVIRONMENT: environment.name}
    tags = {**project.function.tags, **own, **kept}
    if options.expires:
        tags[EXPIRES] = options.expires.strftime("%Y-%m-%dT%H:%MZ")
    if options.like and not environment.permanent:
        tags[LIKE] = project.environment(options.like).name
    return tags


def _smoke(
    environment: Environment, made: _Made, outputs: Mapping[str, str], reporter: Reporter
) -> None:
    """Let a file go the whole way, in an environment that is nobody else's."""
    bucket = outputs.get("BucketName", "")
    if environment.permanent or not bucket:
        return
    removal = made.removal(f"smoke {environment.name}")
    if not removal.is_told_by(bucket):
        return
    try:
        smoke_through_bucket(
            made.target.place, made.project.root, bucket, reporter, made.target.sleep
        )
    except PipelineError as error:
        if not made.options.local:
            raise
        # What it sends to may not run on this machine.
        reporter.warn(f"{error.where}: {error.what.partition(chr(10))[0]}\n{error.then}")


def _own_stack(
    stacks: Stacks, name: str, project: Project, is_permanent: bool, where: str
) -> dict[str, Any] | None:
    """Return the stack, None where there is none.

    Raises PipelineError for one of another service (a permanent one may be older than the tag), one
    that is permanent where that is not declared, and where there is ours in another spelling: AWS
    tells upper case from lower case, and Octopus does not.
    """
    there = stacks.find(name)
    if there is None:
        for one in stacks.pages(where, "describe_stacks", "Stacks"):
            other = str(one["StackName"])
            if other.casefold() == name.casefold() and owned_by(one) == project.package_id:
                then = f"Name it in that spelling: {tags_of(one).get(ENVIRONMENT, other)}."
                raise PipelineError(where, f"its stack is called {other}", then)
        return None
    if there.get(PROTECTED) and not is_permanent:
        what = f"the stack {there['StackName']} is protected, as a permanent environment's is"
        then = (
            "Declare that environment with permanent = true in pyproject.toml; or take the "
            "protection off in CloudFormation, if it is none."
        )
        raise PipelineError(where, what, then)
    owner = owned_by(there)
    # One that is left in review has no tags yet, and nothing in it.
    if owner == project.package_id or (not owner and (is_permanent or _is_new(there))):
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
