"""An environment's half in Octopus: made with its machine, deployed to, taken away again.

Every step may be repeated: it keeps what exists and continues what was left half-done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

from ..core.errors import PipelineError
from ..core.events import Reporter
from ..core.names import resource_name
from ..edge.machine import Machine
from ..octopus.client import Octopus
from ..octopus.environments import (
    OctopusEnvironment,
    add_to_lifecycles,
    ensure_environment,
    find_environment,
    remove_environment,
    remove_from_lifecycles,
)
from ..octopus.machines import (
    Target,
    add_to_machine,
    check_steps,
    deregister,
    machine_named,
    register_cloud_region,
)
from ..octopus.projects import package_steps, steps_in
from ..project.project import LOCAL_ENVIRONMENT, Project
from .push import PushOptions, push
from .release import (
    Destination,
    OctopusOptions,
    chosen_projects,
    connected,
)


@dataclass
class OctopusHalf:
    """The environment `name` in Octopus; a permanent one is not made or removed, only deployed to.

    From `expires` on, `env.reap` may remove it. `made` is what `make` found or made, `was_new`
    whether it made it.
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

    @cached_property
    def octopus(self) -> Octopus:
        """The space."""
        return connected(self.options, self.machine.environ, self.reporter)

    @property
    def is_permanent(self) -> bool:
        """Tell whether people make and remove it."""
        declared = self.project.environments
        return any(one.permanent for one in declared if one.name.casefold() == self.name.casefold())

    @property
    def releases(self) -> bool:
        """Tell whether deployments go through Octopus: a server and a project are named."""
        options = self.options
        has_project = options.projects or options.prefix or self.project.octopus.project
        return bool(has_project) and not options.access.missing

    def make(self) -> None:
        """Make it, add it to the lifecycles, and give it a machine; what is there is kept.

        Raises PipelineError, before anything is made, for steps that do not fit the machine.
        """
        if self.is_permanent:
            return
        self._refuse_local("env.create")
        own = resource_name(self.name, self.project.function.name)
        octopus, package_id = self.octopus, self.project.package_id
        there = find_environment(octopus, self.name)
        if there and there.name != self.name:
            what = f"Octopus has it as {there.name}, and AWS would take that for another one"
            then = f"Name it in that spelling: {there.name}."
            raise PipelineError(f"env.create {self.name}", what, then)
        self.was_new = there is None
        with self.reporter.stage(f"create {self.name}") as stage:
            there_id = there.id if there else ""
            projects = chosen_projects(octopus, self.project, self.options, self.reporter)
            used = [
                steps_in(one, package_steps(octopus, one, package_id), there_id, self.name)
                for one in projects
            ]
            roles = tuple(
                dict.fromkeys(role for steps in used for step in steps for role in step.roles)
            )
            if self.project.octopus.is_cloud_region:
                target = Target(own, roles, has_disk=False)
            else:
                target = Target.of(machine_named(octopus, self.project.octopus.machine))
            for steps in used:
                check_steps(steps, [target], self.name)
            owner = there.owner if there and there.owner else package_id
            expires = self.expires or (there.expires if there else None)
            self.made, created = ensure_environment(octopus, self.name, owner, expires)
            for lifecycle in add_to_lifecycles(octopus, projects, self.made):
                self.reporter.line(f"    added to lifecycle {lifecycle}")
            self.reporter.line(f"    {self._register(self.made, own, roles)}")
            stage.text = "made in Octopus" if created else "was in Octopus, now complete"

    def undo(self) -> None:
        """Take it away again if `make` made it, also half."""
        if self.was_new:
            self.remove("")

    def refuse_removal(self, confirm: str) -> OctopusEnvironment | None:
        """Return what `remove` would take away.

        Raises PipelineError for one that `env.create` did not make, unless `confirm` repeats its
        name.
        """
        if self.is_permanent:
            return None
        self._refuse_local("env.delete")
        found = find_environment(self.octopus, self.name)
        if found and not found.owner and confirm != found.name:
            then = f"If it is to go, pass --confirm {found.name}."
            what = "env.create did not make this environment"
            raise PipelineError(f"env.delete {found.name}", what, then)
        return found

    def remove(self, confirm: str) -> bool:
        """Deregister its machines, then remove it; False where there was none, or it stays.

        One that was made for another service stays, without this one's machine, unless `confirm`
        repeats its name. Raises as `refuse_removal` does, and for one that something refers to,
        with the list of what does.
        """
        found = self.refuse_removal(confirm)
        if found is None:
            if not self.is_permanent:
                self.reporter.line(f"{self.name} is not in Octopus")
            return False
        if found.is_of_another(self.project.package_id) and confirm != found.name:
            for done in deregister(
                self.octopus, found, f"{found.name}-{self.project.function.name}"
            ):
                self.reporter.line(f"    {done}")
            self.reporter.line(
                f"    {found.name} stays in Octopus: it was made for {found.owner}; "
                f"--confirm {found.name} removes it all the same"
            )
            return False
        remove_from_octopus(self.octopus, found, self.reporter)
        return True

    def what_would_go(self) -> Iterator[str]:
        """Give a line for each thing in Octopus that `remove` takes away."""
        octopus = self.octopus
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
        return self._destination().deploy_again(version)

    def deploy(self, package: Path | None, version: str) -> None:
        """Deploy a package through a release of it, which is made now unless it is there.

        Without a package the release of that version has to be there.
        """
        there = self._destination(self.name)
        if package:
            environ = self.machine.environ
            push(self.project, package, self.push, environ, self.reporter, there.octopus)
            there.release(package, self.machine)
        elif not there.deploy_again(version):
            what = f"the release {version} has gone from Octopus"
            raise PipelineError(f"env.create {self.name}", what, "Name a --package.")

    def _destination(self, *environments: str) -> Destination:
        options = replace(self.options, environments=environments)
        project, environ = self.project, self.machine.environ
        return Destination.look_up(project, project.package_id, options, environ, self.reporter)

    def _register(self, made: OctopusEnvironment, own: str, roles: tuple[str, ...]) -> str:
        """Give it a machine, and return what was done."""
        settings = self.project.octopus
        if not roles:
            return "no machine is needed: every step runs on a worker, for no target"
        if settings.is_cloud_region:
            return register_cloud_region(self.octopus, made, own, roles, settings.pool)
        return add_to_machine(self.octopus, made, machine_named(self.octopus, settings.machine))

    def _refuse_local(self, verb: str) -> None:
        if self.name.casefold() == LOCAL_ENVIRONMENT:
            what = "that is the embedded AWS, which Octopus does not know"
            raise PipelineError(f"{verb} {self.name}", what, "Use another name.")


def remove_from_octopus(
    octopus: Octopus, environment: OctopusEnvironment, reporter: Reporter
) -> None:
    """Deregister the machines of an environment, then remove it; what is gone is no error."""
    with reporter.stage(f"delete {environment.name}") as stage:
        for done in deregister(octopus, environment):
            reporter.line(f"    {done}")
        for lifecycle in remove_from_lifecycles(octopus, environment):
            reporter.line(f"    removed from lifecycle {lifecycle}")
        remove_environment(octopus, environment)
        stage.text = "removed from Octopus"
