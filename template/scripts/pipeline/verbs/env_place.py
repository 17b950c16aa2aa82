"""What a verb was asked of an environment, declared or not, and the way into AWS where that is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from ..core.errors import PipelineError, UsageError
from ..core.events import Reporter
from ..core.names import resource_name
from ..deploy.aws_session import Connection, Credentials, connect
from ..edge.machine import Machine
from ..local.background import running
from ..local.clients import client
from ..package.contents import Package
from ..project.project import LOCAL_ENVIRONMENT, Environment, Project
from ..stack.change_set import LIKE, Stacks, owned_by, tags_of
from .check import check_stack
from .deploy_here import deploy_package, worker_credentials
from .local import start_for_project, state_file
from .local_use import local_aws
from .which_function import Place, place_of


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


@dataclass(frozen=True)
class Asked:
    """What a verb is to do with an environment, and what it works with."""

    project: Project
    options: StackOptions
    machine: Machine
    reporter: Reporter
    means: Means = Means()

    @property
    def is_placed(self) -> bool:
        """Tell whether it is said in which account the environment's stack belongs."""
        return self.options.local or bool(self.options.like) or self._declared is not None

    @property
    def _declared(self) -> Environment | None:
        named = self.options.name.casefold()
        found = (one for one in self.project.environments if one.name.casefold() == named)
        return next(found, None)

    @cached_property
    def environment(self) -> Environment:
        """The declared environment, or one that is made like another."""
        name, local = self.options.name, self.options.local
        if name.casefold() == LOCAL_ENVIRONMENT:
            then = "Choose a name of its own, like test-1."
            raise UsageError(f"env {name}", "local.start makes that stack", then)
        if self._declared and not local:
            return self._declared
        return self._like(self.options.like or (LOCAL_ENVIRONMENT if local else ""))

    def _like(self, model: str) -> Environment:
        return replace(self.project.environment(model), name=self.options.name, permanent=False)

    def target(self, environment: Environment, package: Path | None = None) -> Target:
        """Connect to where a stack belongs; the embedded AWS is started for a `package`."""
        machine, means = self.machine, self.means
        name = resource_name(environment.name, self.project.function.name)
        if not self.options.local:
            credentials = worker_credentials(environment, machine.environ)
            place = Place(environment, name, means.connect(credentials, environment.place()))
            return Target(place, credentials, machine.environ, means.sleep)
        if package:
            opened = Package.open(package)
            aws = start_for_project(self.project, machine, self.reporter, opened).aws
        else:
            aws = local_aws(self.project, machine)
        variables, clients = aws.environment(), partial(client, aws)
        return Target(
            Place(environment, name, Connection(clients("lambda"), clients)),
            Credentials.from_environment(variables),
            {**machine.environ, **variables},
            means.sleep,
        )

    def place(self) -> Place:
        """Connect to where the environment is: a declared one, or one that `env.create` made.

        Of two that are not declared, that in the embedded AWS is the second. Raises PipelineError
        where there is none, or no way into it.
        """
        name, unread = self.options.name, list[str]()
        if name and not self.is_placed and name.casefold() != LOCAL_ENVIRONMENT:
            for target in self.targets(unread):
                if target.stacks.find(target.place.function):
                    return target.place
            if running(state_file(self.project.root)):
                target = replace(self, options=replace(self.options, local=True)).target(
                    self._like(LOCAL_ENVIRONMENT)
                )
                if target.stacks.find(target.place.function):
                    return target.place
            for text in unread:
                self.reporter.warn(text)
        return place_of(self.project, name, self.machine, self.means.connect)

    def targets(self, unread: list[str]) -> Iterator[Target]:
        """Give where the environment is, or may be: the place that has its stack, else every one.

        `unread` gets a line for what could not be looked at then.
        """
        if self.is_placed:
            yield self.target(self.environment)
            return
        reached: dict[tuple[str, ...], Target] = {}
        closed: dict[str, list[str]] = {}
        for one in self.project.environments:
            if one.is_local or one.way in reached:
                continue
            try:
                target = self.target(self._like(one.name))
                found = target.stacks.find(target.place.function)
            except PipelineError as error:
                closed.setdefault(error.what, []).append(one.name)
                continue
            if found and owned_by(found) == self.project.package_id:
                # As it was made: another declared one may share the account.
                with suppress(PipelineError):
                    there = self._like(tags_of(found).get(LIKE) or one.name)
                    target = replace(target, place=replace(target.place, environment=there))
                yield target
                return
            if not found:
                reached[one.way] = target
        unread += [
            f"{self.options.name} was not looked for in AWS of {', '.join(names)}: {reason}"
            for reason, names in closed.items()
        ]
        yield from reached.values()
