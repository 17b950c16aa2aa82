"""Which account and region an environment's stack belongs to, and the way into AWS there."""

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
from ..core.names import resource_name
from ..deploy.aws_session import Connection, Credentials, connect
from ..edge.machine import Machine
from ..local.clients import client
from ..package.contents import Package
from ..project.project import LOCAL_ENVIRONMENT, Environment, Project
from ..stack.change_set import LIKE, Stacks, owned_by, tags_of
from .check import check_stack
from .deploy_here import deploy_package, worker_credentials
from .local import start_for_project
from .local_use import local_aws
from .which_function import Place


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


MEANS = Means()


@dataclass(frozen=True)
class Target:
    """Where a stack is: AWS there, and what a deploy to it needs."""

    place: Place
    credentials: Credentials
    environ: Mapping[str, str]
    sleep: Callable[[float], None]

    @property
    def clients(self) -> Callable[[str], Any]:
        """Return what gives the client of a service."""
        return self.place.connection.clients

    @property
    def stacks(self) -> Stacks:
        """Return the stacks there."""
        return Stacks(self.clients("cloudformation"), self.sleep)


def is_placed(project: Project, options: StackOptions) -> bool:
    """Tell whether the command says in which account the environment's stack belongs."""
    declared = {one.name.casefold() for one in project.environments}
    return options.local or bool(options.like) or options.name.casefold() in declared


def environment_of(project: Project, options: StackOptions) -> Environment:
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


def target_of(
    project: Project, environment: Environment, options: StackOptions, machine: Machine,
    reporter: Reporter, package: Path | None, means: Means,
) -> Target:  # fmt: skip
    """Connect to where a stack belongs; the embedded AWS is started for a `package`."""
    name = resource_name(environment.name, project.function.name)
    if not options.local:
        credentials = worker_credentials(environment, machine.environ)
        place = Place(environment, name, means.connect(credentials, environment.place()))
        return Target(place, credentials, machine.environ, means.sleep)
    if package:
        aws = start_for_project(project, machine, reporter, Package.open(package)).aws
    else:
        aws = local_aws(project, machine)
    variables = aws.environment()
    clients = partial(client, aws)
    return Target(
        Place(environment, name, Connection(clients("lambda"), clients)),
        Credentials.from_environment(variables),
        {**machine.environ, **variables},
        means.sleep,
    )


def targets_of(
    project: Project, options: StackOptions, declared: list[Environment], machine: Machine,
    reporter: Reporter, means: Means, unread: list[str],
) -> Iterator[tuple[Environment, Target]]:  # fmt: skip
    """Give where an environment is, or may be: the place that has its stack, else every one.

    `unread` gets a line for what could not be looked at then.
    """
    if declared:
        yield declared[0], target_of(project, declared[0], options, machine, reporter, None, means)
        return
    reached: dict[tuple[str, ...], tuple[Environment, Target]] = {}
    closed: dict[str, list[str]] = {}
    for one in project.environments:
        key = (one.account, one.region, one.profile, one.role, one.external_id)
        if one.is_local or key in reached:
            continue
        there = replace(one, name=options.name, permanent=False)
        try:
            target = target_of(project, there, options, machine, reporter, None, means)
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
    unread += [
        f"{options.name} was not looked for in AWS of {', '.join(names)}: {reason}"
        for reason, names in closed.items()
    ]
    yield from reached.values()
