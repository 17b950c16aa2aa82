"""The AWS half of `env.create` and `env.delete`: the stack, the first deploy, and the way back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from ..core.errors import PipelineError, UsageError
from ..core.events import Reporter
from ..core.names import resource_name
from ..deploy.aws_errors import Missing, explained_errors
from ..deploy.aws_session import Credentials, connect
from ..edge.files import read_text
from ..edge.machine import Machine
from ..local.clients import client
from ..package.contents import Package
from ..project.project import LOCAL_ENVIRONMENT, Environment, Project
from ..project.sources import STACK
from ..stack.change_set import (
    ENVIRONMENT,
    EXPIRES,
    SERVICE,
    Stacks,
    Wanted,
    apply_change_set,
    discard,
    make_change_set,
    owned_by,
    parameters_for,
    refuse_losses,
    refuse_lost_alias,
)
from ..stack.removal import Removal, audit, remove_stack, stop_sources, what_would_go
from .build import fresh_package
from .deploy_here import DeployOptions, deploy_package, refuse_unfit, worker_credentials
from .local import start_for_project
from .local_use import local_aws
from .which_package import chosen_package


@dataclass(frozen=True)
class StackOptions:
    """What the command line says of an environment in AWS.

    `like` names the declared environment whose place and settings another one gets; `confirm`
    repeats the name where something would be lost.
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
class _Place:
    """Where a stack is: AWS there, and what a deploy to it needs."""

    environment: Environment
    name: str
    clients: Callable[[str], Any]
    credentials: Credentials
    environ: Mapping[str, str]

    def stacks(self) -> Stacks:
        return Stacks(self.clients("cloudformation"), time.sleep)


def is_placed(project: Project, options: StackOptions) -> bool:
    """Tell whether it is known in which account the environment's stack belongs."""
    declared = {one.name.casefold() for one in project.environments}
    return options.local or bool(options.like) or options.name.casefold() in declared


def create_stack(
    project: Project,
    options: StackOptions,
    machine: Machine,
    reporter: Reporter,
    octopus_half: Callable[[], object] = lambda: None,
) -> dict[str, str]:
    """Make or update an environment's stack, deploy a package to it, and return the outputs.

    `octopus_half` runs once everything is checked that can be before anything is made.
    A new stack is undone where something fails, unless `keep_on_failure` says otherwise. Raises
    PipelineError for a stack of somebody else, and for what CloudFormation or the deploy refuses.
    """
    environment = _environment(project, options)
    where = f"env.create {environment.name}"
    name = resource_name(environment.name, project.function.name)
    template = _template(project)
    package = None
    if not options.dry_run:
        package = _package(project, environment, options, machine, reporter)
    place = _place(project, environment, options, machine, reporter, package, is_new=True)
    stacks = place.stacks()
    there = stacks.find(name)
    _refuse_foreign(there, project, environment, where)
    settings = environment.parameters
    known = {"FunctionName": name, **_live(place.clients("lambda"), name)}
    tags = {**project.function.tags, SERVICE: project.package_id, ENVIRONMENT: environment.name}
    if options.expires:
        tags[EXPIRES] = options.expires.strftime("%Y-%m-%dT%H:%MZ")
    wanted = Wanted(
        name, template, parameters_for(stacks, where, template, known, settings), tags,
        environment.permanent, where,
    )  # fmt: skip
    octopus_half()
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
    try:
        with reporter.stage("stack") as stage:
            outputs = apply_change_set(stacks, change, reporter)
            word = "created" if change.is_new else "updated" if change.changes else "is as it was"
            stage.text = f"{name} {word}"
        if package:
            named = replace(project, environments=_with(project, environment))
            wish = DeployOptions(environment.name)
            deploy_package(named, package, wish, place.credentials, place.environ, reporter)
    except PipelineError:
        if change.is_new and not options.keep_on_failure:
            reporter.line(f"    {name} was new: it is taken away again")
            removal = Removal(name, place.clients, stacks, where=where)
            stop_sources(removal, reporter)
            remove_stack(removal, reporter)
        raise
    return outputs


def delete_stack(
    project: Project,
    options: StackOptions,
    machine: Machine,
    reporter: Reporter,
    octopus_half: Callable[[], object] = lambda: None,
) -> list[str]:
    """Take an environment away, and return what an audit still finds of it afterwards.

    `octopus_half` runs once nothing calls the function any more, and before its stack goes.
    Raises PipelineError for a permanent one without its name in `confirm`.
    """
    environment = _environment(project, options)
    where = f"env.delete {environment.name}"
    name = resource_name(environment.name, project.function.name)
    if environment.permanent and options.confirm != environment.name and not options.dry_run:
        then = f"If it is to go, pass --confirm {environment.name}."
        raise PipelineError(where, "it is declared as permanent", then)
    place = _place(project, environment, options, machine, reporter, None, is_new=False)
    stacks = place.stacks()
    _refuse_foreign(stacks.find(name), project, environment, where)
    removal = Removal(name, place.clients, stacks, environment.permanent, where)
    if options.dry_run:
        for line in what_would_go(removal) or [f"    there is no stack {name}"]:
            reporter.line(line)
        return []
    with reporter.stage(f"delete {environment.name}") as stage:
        stop_sources(removal, reporter)
        octopus_half()
        if environment.permanent and stacks.find(name):
            stacks.call(
                where, "update_termination_protection",
                StackName=name, EnableTerminationProtection=False,
            )  # fmt: skip
        remove_stack(removal, reporter)
        found = audit(removal)
        stage.text = "nothing is left in AWS" if not found else f"{len(found)} things are left"
    return found


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


def _place(
    project: Project, environment: Environment, options: StackOptions, machine: Machine,
    reporter: Reporter, package: Package | None, *, is_new: bool,
) -> _Place:  # fmt: skip
    name = resource_name(environment.name, project.function.name)
    if not options.local:
        credentials = worker_credentials(environment, machine.environ)
        clients = connect(credentials, environment.place()).clients
        return _Place(environment, name, clients, credentials, machine.environ)
    if is_new:
        aws = start_for_project(project, machine, reporter, package).aws
    else:
        aws = local_aws(project, machine)
    variables = aws.environment()
    return _Place(
        environment, name, partial(client, aws), Credentials.from_environment(variables),
        {**machine.environ, **variables},
    )  # fmt: skip


def _package(
    project: Project, environment: Environment, options: StackOptions, machine: Machine,
    reporter: Reporter,
) -> Package:  # fmt: skip
    """Return what is deployed at the end; everything that can be wrong with it is said first."""
    if options.local:
        path = fresh_package(project, options.package, machine, reporter)
    elif options.package:
        path = chosen_package(options.package, project.root)
    else:
        where, verified = f"env.create {environment.name}", environment.permanent
        latest = refuse_unfit(project, where, machine.environ, verified=verified)
        path = latest.package_path(project.root)
    package = Package.open(path)
    package.own_manifest()
    return package


def _template(project: Project) -> str:
    path = project.root / STACK
    try:
        return read_text(path, str(path))
    except OSError as error:
        then = "Every repository keeps its stack there; copy the template's into it."
        raise PipelineError(STACK, f"it cannot be read: {error.strerror}", then) from error


def _refuse_foreign(
    there: Mapping[str, Any] | None, project: Project, environment: Environment, where: str
) -> None:
    """Refuse a stack of another service; a permanent one may be older than the tag."""
    if there is None:
        return
    owner = owned_by(there)
    if owner == project.package_id or (environment.permanent and not owner):
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
