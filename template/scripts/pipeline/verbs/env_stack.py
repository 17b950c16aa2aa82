"""The AWS half of `env.create` and `env.delete`: the stack, the first deploy, and the way back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from ..core.errors import PipelineError, UsageError
from ..core.events import Reporter
from ..core.manifest import BUCKET
from ..core.names import ALIAS, release_in, resource_name
from ..core.templates import declared_values, resolve
from ..deploy.aws_errors import Missing, explained_errors
from ..deploy.aws_session import Connection, Credentials, connect
from ..edge.machine import Machine
from ..local.clients import client
from ..package.contents import Package
from ..project.project import LOCAL_ENVIRONMENT, Environment, Project
from ..project.stack import stack_text
from ..stack.change_set import (
    ENVIRONMENT,
    EXPIRES,
    LIKE,
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
from .check import check_stack
from .deploy_here import (
    DeployOptions,
    deploy_package,
    packages_at_hand,
    refuse_unfit,
    worker_credentials,
)
from .env_octopus import OctopusHalf
from .env_smoke import smoke_through_bucket
from .local import start_for_project
from .local_use import local_aws
from .which_function import Place
from .which_package import chosen_package

# What --package says to have the last build in an environment that is like another one.
LAST = "last"
_OF_ENVIRONMENT = "#{Octopus.Environment.Name}"
# These were never whole, or are not any more: CloudFormation changes them no more.
_BROKEN = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED")


@dataclass(frozen=True)
class StackOptions:
    """What the command line says of an environment in AWS.

    `like` names the declared environment whose place, settings and release another one gets;
    `confirm` repeats the name where something would be lost.
    """

    name: str
    local: bool = False
    like: str = ""
    package: str | None = None
    expires: datetime | None = None
    keep_on_failure: bool = False
    confirm: str = ""
    dry_run: bool = False


@dataclass(frozen=True)
class Means:
    """How the parts work that are no calls of AWS or Octopus; a test has others."""

    check: Callable[[Project, Machine, Reporter], object] = check_stack
    deploy: Callable[..., object] = deploy_package
    connect: Callable[[Credentials, Mapping[str, str]], Connection] = connect
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class _Target:
    """Where a stack is: AWS there, and what a deploy to it needs."""

    place: Place
    credentials: Credentials
    environ: Mapping[str, str]
    sleep: Callable[[float], None]

    @property
    def clients(self) -> Callable[[str], Any]:
        return self.place.connection.clients

    @property
    def stacks(self) -> Stacks:
        return Stacks(self.clients("cloudformation"), self.sleep)


def is_placed(project: Project, options: StackOptions) -> bool:
    """Tell whether the command says in which account the environment's stack belongs."""
    declared = {one.name.casefold() for one in project.environments}
    return options.local or bool(options.like) or options.name.casefold() in declared


def create_stack(
    project: Project,
    options: StackOptions,
    machine: Machine,
    reporter: Reporter,
    octopus: OctopusHalf | None = None,
    means: Means = Means(),
) -> dict[str, str]:
    """Make or update an environment, deploy to it, and return the outputs of its stack.

    Everything is checked first that can be before anything is made; then comes its half in
    Octopus. What this run made is undone where something fails, unless `keep_on_failure` says
    otherwise. Raises PipelineError for a stack of somebody else, and for what CloudFormation,
    Octopus or the function refuses.
    """
    environment = _environment(project, options)
    where = f"env.create {environment.name}"
    name = resource_name(environment.name, project.function.name)
    template = stack_text(project.root)
    package: Path | None = None
    release = ""
    if not options.dry_run:
        package, release = _what(project, environment, options, machine, reporter, octopus, means)
    target = _target(project, environment, options, machine, reporter, package, means)
    stacks = target.stacks
    means.check(project, machine, reporter)
    there = stacks.find(name)
    _refuse_foreign(there, project, environment.permanent, where)
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
    means: Means = Means(),
) -> list[str]:
    """Take an environment away, and return what an audit still finds of it afterwards.

    `octopus_half` runs once nothing calls the function any more, and before its stack goes.
    Where nobody says in which account it is, all declared ones are looked at. Raises PipelineError
    for a permanent one without its name in `confirm`.
    """
    declared = [_environment(project, options)] if is_placed(project, options) else []
    if declared and declared[0].permanent and not options.dry_run:
        environment = declared[0]
        if options.confirm != environment.name:
            then = f"If it is to go, pass --confirm {environment.name}."
            where = f"env.delete {environment.name}"
            raise PipelineError(where, "it is declared as permanent", then)
    removals = [
        _removal(project, environment, target, f"env.delete {environment.name}")
        for environment, target in _targets(project, options, declared, machine, reporter, means)
    ]
    for removal in removals:
        _refuse_foreign(removal.stacks.find(removal.name), project, removal.keeps, removal.where)
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
                if removal.keeps and inventory.stack_id:
                    removal.stacks.call(
                        removal.where, "update_termination_protection",
                        StackName=removal.name, EnableTerminationProtection=False,
                    )  # fmt: skip
                remove_stack(removal, inventory, reporter)
                left += audit(removal, inventory)
            stage.text = "nothing is left in AWS" if not left else f"{len(left)} things are left"
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
    target: _Target
    change: ChangeSet | None = None

    def removal(self, where: str) -> Removal:
        return _removal(self.project, self.target.place.environment, self.target, where)

    def undo(self, where: str) -> None:
        """Take away what was made; what cannot be is told, as the error before counts."""
        if self.options.keep_on_failure:
            self.reporter.line("    it is left as it is: the same command continues")
            return
        try:
            if self.change and self.change.is_new and was_executed(self.target.stacks, self.change):
                removal = self.removal(where)
                self.reporter.line(f"    {removal.name} was new: it is taken away again")
                remove_stack(removal, _stopped(removal, self.reporter), self.reporter)
            # A stack that stays is another run's, which needs the other half, too.
            if self.octopus and not self.target.stacks.find(self.target.place.function):
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


def _environment(project: Project, options: StackOptions) -> Environment:
    """Return the declared environment, or one that is made like another."""
    declared = {one.name.casefold(): one for one in project.environments}
    named = options.name.casefold()
    if named == LOCAL_ENVIRONMENT:
        then = "Choose a name of its own, like test-1."
        raise UsageError(f"env {options.name}", "local.start makes that stack", then)
    if named in declared and not options.local:
        return declared[named]
    like = options.like or (LOCAL_ENVIRONMENT if options.local else "")
    return replace(project.environment(like), name=options.name, permanent=False)


def _with(project: Project, environment: Environment) -> tuple[Environment, ...]:
    others = (
        one for one in project.environments if one.name.casefold() != environment.name.casefold()
    )
    return (*others, environment)


def _target(
    project: Project, environment: Environment, options: StackOptions, machine: Machine,
    reporter: Reporter, package: Path | None, means: Means,
) -> _Target:  # fmt: skip
    name = resource_name(environment.name, project.function.name)
    if not options.local:
        credentials = worker_credentials(environment, machine.environ)
        place = Place(environment, name, means.connect(credentials, environment.place()))
        return _Target(place, credentials, machine.environ, means.sleep)
    if package:
        aws = start_for_project(project, machine, reporter, Package.open(package)).aws
    else:
        aws = local_aws(project, machine)
    variables = aws.environment()
    clients = partial(client, aws)
    return _Target(
        Place(environment, name, Connection(clients("lambda"), clients)),
        Credentials.from_environment(variables),
        {**machine.environ, **variables},
        means.sleep,
    )


def _targets(
    project: Project, options: StackOptions, declared: list[Environment], machine: Machine,
    reporter: Reporter, means: Means,
) -> Iterator[tuple[Environment, _Target]]:  # fmt: skip
    """Give where an environment is, or may be: the place that has its stack, else every one."""
    if declared:
        yield declared[0], _target(project, declared[0], options, machine, reporter, None, means)
        return
    reached: dict[tuple[str, ...], tuple[Environment, _Target]] = {}
    closed: dict[str, list[str]] = {}
    for one in project.environments:
        key = (one.account, one.region, one.profile, one.role, one.external_id)
        if one.is_local or key in reached:
            continue
        there = replace(one, name=options.name, permanent=False)
        try:
            target = _target(project, there, options, machine, reporter, None, means)
            found = target.stacks.find(target.place.function)
        except PipelineError as error:
            closed.setdefault(error.what, []).append(one.name)
            continue
        if found and owned_by(found) == project.package_id:
            # As it was made: another declared one may share the account.
            like = tags_of(found).get(LIKE) or one.name
            with suppress(PipelineError):
                there = replace(project.environment(like), name=options.name, permanent=False)
            yield there, target
            return
        if not found:
            reached[key] = (there, target)
    for reason, names in closed.items():
        reporter.warn(f"{options.name} was not looked for in AWS of {', '.join(names)}: {reason}")
    yield from reached.values()


def _removal(project: Project, environment: Environment, target: _Target, where: str) -> Removal:
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
    if options.local:
        path = fresh_package(project, options.package, machine, reporter)
    elif options.package and options.package != LAST:
        path = chosen_package(options.package, project.root)
    else:
        named = environment.name if environment.permanent else options.like
        like = project.environment(options.like or named) if named else None
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
        reporter.warn(str(error))


def _refuse_foreign(
    there: Mapping[str, Any] | None, project: Project, is_permanent: bool, where: str
) -> None:
    """Refuse a stack of another service; a permanent one may be older than the tag."""
    if there is None:
        return
    owner = owned_by(there)
    # One that is left in review has no tags yet, and nothing in it.
    if owner == project.package_id or (not owner and (is_permanent or _is_new(there))):
        return
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
