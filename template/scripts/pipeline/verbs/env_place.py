"""What a verb was asked of an environment, declared or not, and the way into AWS where that is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

from ..core.errors import PipelineError, UsageError
from ..core.events import Reporter
from ..deploy.aws_session import Connection, Credentials, connect
from ..edge.machine import Machine
from ..local.background import running
from ..package.contents import Package
from ..project.project import LOCAL_ENVIRONMENT, Environment, Project
from ..stack.change_set import LIKE, owned_by, tags_of
from .check import check_stack
from .deploy_here import deploy_package
from .local import start_for_project, state_file
from .local_use import local_aws
from .which_function import Place, place_in, place_of


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

    def place_in(self, environment: Environment, package: Path | None = None) -> Place:
        """Connect to where a stack belongs; the embedded AWS is started for a `package`."""
        project, machine, aws = self.project, self.machine, None
        if self.options.local and package:
            opened = Package.open(package)
            aws = start_for_project(project, machine, self.reporter, opened).aws
        elif self.options.local:
            aws = local_aws(project, machine)
        place = place_in(aws, project, environment, machine.environ, self.means.connect)
        return replace(place, sleep=self.means.sleep)

    def place(self) -> Place:
        """Connect to where the environment is: a declared one, or one that `env.create` made.

        Of two that are not declared, that in the embedded AWS is the second. Raises PipelineError
        where there is none, or no way into it.
        """
        name, unread = self.options.name, list[str]()
        if name and not self.is_placed and name.casefold() != LOCAL_ENVIRONMENT:
            for place in self.places(unread):
                if place.stacks.find(place.function):
                    return place
            if running(state_file(self.project.root)):
                local = replace(self, options=replace(self.options, local=True))
                place = local.place_in(self._like(LOCAL_ENVIRONMENT))
                if place.stacks.find(place.function):
                    return place
            for text in unread:
                self.reporter.warn(text)
        return place_of(self.project, name, self.machine, self.means.connect)

    def places(self, unread: list[str]) -> Iterator[Place]:
        """Give where the environment is, or may be: the place that has its stack, else every one.

        `unread` gets a line for what could not be looked at then.
        """
        if self.is_placed:
            yield self.place_in(self.environment)
            return
        ways: dict[tuple[str, ...], list[str]] = {}
        for one in self.project.environments:
            if not one.is_local:
                ways.setdefault(one.way, []).append(one.name)
        reached: list[Place] = []
        closed: dict[str, list[str]] = {}
        for names in ways.values():
            try:
                place = self.place_in(self._like(names[0]))
                found = place.stacks.find(place.function)
            except PipelineError as error:
                closed.setdefault(error.what, []).extend(names)
                continue
            if found and owned_by(found) == self.project.package_id:
                # As it was made: another declared one may share the account.
                with suppress(PipelineError):
                    model = tags_of(found).get(LIKE) or names[0]
                    place = replace(place, environment=self._like(model))
                yield place
                return
            if not found:
                reached.append(place)
        unread += [
            f"{self.options.name} was not looked for in AWS of {', '.join(names)}: {reason}"
            for reason, names in closed.items()
        ]
        yield from reached
