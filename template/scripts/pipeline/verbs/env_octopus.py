"""An environment's half in Octopus, as `env.create` and `env.delete` need it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from ..core.errors import PipelineError
from ..core.events import Reporter
from ..edge.machine import Machine
from ..octopus.environments import OctopusEnvironment, find_environment
from ..project.project import Project
from .env import create_environment, delete_environment, is_permanent, refuse_removal
from .push import PushOptions, push
from .release import OctopusOptions, connected, deploy_release, look_up, release_package


@dataclass
class OctopusHalf:
    """The environment `name` in Octopus; a permanent one is not made or removed, only deployed to.

    `made` is what `make` found or made, `was_new` whether it made it.
    """

    project: Project
    name: str
    options: OctopusOptions
    push: PushOptions
    machine: Machine
    reporter: Reporter
    expires: datetime | None = None
    made: OctopusEnvironment | None = field(default=None, init=False)
    was_new: bool = field(default=False, init=False)

    @property
    def is_permanent(self) -> bool:
        """Tell whether people make and remove it."""
        return is_permanent(self.project, self.name)

    @property
    def releases(self) -> bool:
        """Tell whether deployments go through Octopus: a server and a project are named."""
        options = self.options
        has_project = options.projects or options.prefix or self.project.octopus.project
        return bool(has_project) and not options.access.missing

    def make(self) -> None:
        """Make it with its machine; what is there is kept and completed."""
        if self.is_permanent:
            return
        environ, reporter = self.machine.environ, self.reporter
        octopus = connected(self.options, environ, reporter)
        there = find_environment(octopus, self.name)
        if there and there.name != self.name:
            what = f"Octopus has it as {there.name}, and AWS would take that for another one"
            then = f"Name it in that spelling: {there.name}."
            raise PipelineError(f"env.create {self.name}", what, then)
        self.was_new = there is None
        self.made = create_environment(
            self.project, self.name, self.options, environ, reporter, expires=self.expires
        )

    def undo(self) -> None:
        """Take it away again if `make` made it, also half."""
        if self.was_new:
            self.remove("")

    def refuse_removal(self, confirm: str) -> None:
        """Raise PipelineError where `remove` would before it does anything."""
        if not self.is_permanent:
            environ, options = self.machine.environ, self.options
            refuse_removal(self.project, self.name, options, environ, self.reporter, confirm)

    def remove(self, confirm: str) -> bool:
        """Take it away; False where there was none, or it stays."""
        if self.is_permanent:
            return False
        return delete_environment(
            self.project, self.name, self.options, self.machine.environ, self.reporter,
            confirm=confirm,
        )  # fmt: skip

    def what_would_go(self) -> Iterator[str]:
        """Give a line for each thing in Octopus that `remove` takes away."""
        octopus = connected(self.options, self.machine.environ, self.reporter)
        found = find_environment(octopus, self.name)
        is_other = found and found.is_of_another(self.project.package_id)
        if found is None or self.is_permanent or is_other:
            yield f"    {'stays' if found else 'is not'}  in Octopus: environment {self.name}"
            return
        for one in octopus.all("machines", environmentIds=found.id):
            if found.id in one.texts("EnvironmentIds"):
                word = "is taken out of" if len(one.texts("EnvironmentIds")) > 1 else "goes"
                yield f"    {word}  in Octopus: machine {one.text('Name')}"
        yield f"    goes  in Octopus: environment {found.name}"

    def has_release(self, version: str) -> bool:
        """Tell whether Octopus can deploy that version without a package from here."""
        return self._deployed(version, ())

    def deploy(self, package: Path | None, version: str) -> None:
        """Deploy a package through a release of it, which is made now unless it is there.

        Without a package the release of that version has to be there.
        """
        if package is None:
            if not self._deployed(version, (self.name,)):
                what = f"the release {version} has gone from Octopus"
                raise PipelineError(f"env.create {self.name}", what, "Name a --package.")
            return
        options = replace(self.options, environments=(self.name,))
        environ, reporter = self.machine.environ, self.reporter
        there = look_up(self.project, self.project.package_id, options, environ, reporter)
        push(self.project, package, self.push, environ, reporter, there.octopus)
        release_package(self.project, package, options, self.machine, reporter, there)

    def _deployed(self, version: str, environments: tuple[str, ...]) -> bool:
        options = replace(self.options, environments=environments)
        environ, package_id = self.machine.environ, self.project.package_id
        there = look_up(self.project, package_id, options, environ, self.reporter)
        return deploy_release(there, version, options, self.reporter)
