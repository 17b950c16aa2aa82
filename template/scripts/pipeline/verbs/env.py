"""`env.*`: temporary environments in Octopus, made with a machine and removed in that order.

Every operation may be repeated: what is there is kept, what is half-done is continued.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ..core.errors import PipelineError
from ..core.events import Reporter
from ..core.names import resource_name
from ..edge.machine import Machine
from ..octopus.client import Octopus, text, texts
from ..octopus.environments import (
    OctopusEnvironment,
    all_environments,
    description,
    ensure_environment,
    find_environment,
    remove_environment,
)
from ..octopus.lifecycles import admit, expel
from ..octopus.machines import (
    Target,
    deregister,
    join_machine,
    machine_named,
    refuse_misfits,
    register_cloud_region,
)
from ..octopus.projects import OctopusProject, PackageStep, package_steps
from ..project.project import LOCAL_ENVIRONMENT, Project
from .release import OctopusOptions, chosen_projects, connected


@dataclass(frozen=True)
class EnvironmentOptions:
    """`expires` is when `env.reap` may remove what is made; `confirm` repeats a name."""

    octopus: OctopusOptions
    expires: datetime | None = None
    confirm: str = ""
    dry_run: bool = False


@dataclass(frozen=True)
class Listed:
    """An environment of the space. `owner` is the package it was made for, if we made it."""

    name: str
    permanent: bool
    owner: str
    expires: str
    machines: tuple[str, ...]


@dataclass(frozen=True)
class _Place:
    """What the steps of the projects need of an environment's machine."""

    projects: tuple[OctopusProject, ...]
    steps: tuple[PackageStep, ...]

    @property
    def roles(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(role for step in self.steps for role in step.roles))


def create_environment(
    project: Project, name: str, options: EnvironmentOptions, machine: Machine, reporter: Reporter
) -> OctopusEnvironment:
    """Make an environment in Octopus, let the lifecycles in, and give it a machine.

    Raises PipelineError, before anything is made, for a permanent environment and for a
    deployment process whose steps do not fit the machine.
    """
    _refuse_permanent(project, name, "env.create")
    resource_name(name, project.function.name)
    octopus = connected(options.octopus, machine, reporter)
    with reporter.stage(f"create {name}") as stage:
        there = find_environment(octopus, name)
        place = _place(octopus, project, options, there, reporter)
        _refuse_misfits(octopus, project, place, name)
        owner = there.owner if there and there.owner else project.package_id
        expires = options.expires or (there.expires if there else None)
        environment, created = ensure_environment(octopus, name, description(owner, expires))
        for lifecycle in admit(octopus, place.projects, environment):
            reporter.line(f"    let into lifecycle {lifecycle}")
        reporter.line(f"    {_register(octopus, project, place, environment)}")
        stage.text = "made in Octopus" if created else "was in Octopus, now complete"
    return environment


def delete_environment(
    project: Project, name: str, options: EnvironmentOptions, machine: Machine, reporter: Reporter
) -> bool:
    """Deregister the machines of an environment, then remove it; False when it was not there.

    Raises PipelineError for a permanent one, for one that `env.create` did not make unless it is
    confirmed by name, and for one that something refers to, with the list of what does.
    """
    _refuse_permanent(project, name, "env.delete")
    octopus = connected(options.octopus, machine, reporter)
    environment = find_environment(octopus, name)
    if environment is None:
        reporter.line(f"{name} is not in Octopus")
        return False
    if not environment.owner and options.confirm != environment.name:
        raise PipelineError(
            f"env.delete {environment.name}",
            "env.create did not make this environment",
            f"If it is to go, pass --confirm {environment.name}.",
        )
    _remove(octopus, environment, reporter)
    return True


def list_environments(
    project: Project, options: OctopusOptions, machine: Machine, reporter: Reporter
) -> list[Listed]:
    """Return the environments of the space with their machines, in Octopus's order."""
    octopus = connected(options, machine, reporter)
    machines = list(octopus.all("machines"))
    permanent = _permanent(project)
    return [
        Listed(
            environment.name,
            environment.name.casefold() in permanent,
            environment.owner,
            environment.expires.isoformat() if environment.expires else "",
            tuple(
                text(m, "Name") for m in machines if environment.id in texts(m, "EnvironmentIds")
            ),
        )
        for environment in all_environments(octopus)
    ]


def reap_environments(
    project: Project, options: EnvironmentOptions, machine: Machine, reporter: Reporter
) -> list[str]:
    """Remove this project's temporary environments whose time is over, and return their names.

    One that cannot be removed does not keep the others: the error at the end names it.
    """
    octopus = connected(options.octopus, machine, reporter)
    now, permanent = machine.now(), _permanent(project)
    over = [
        environment
        for environment in all_environments(octopus)
        if environment.owner == project.package_id
        and environment.expires
        and environment.expires <= now
        and environment.name.casefold() not in permanent
    ]
    refused = []
    for environment in over:
        if options.dry_run:
            reporter.line(f"{environment.name} expired {environment.expires}")
            continue
        try:
            _remove(octopus, environment, reporter)
        except PipelineError as error:
            refused.append(f"{environment.name}: {error.what}")
    if refused:
        raise PipelineError("env.reap", "\n".join(refused), "Run this again when that is settled.")
    return [environment.name for environment in over]


def _remove(octopus: Octopus, environment: OctopusEnvironment, reporter: Reporter) -> None:
    with reporter.stage(f"delete {environment.name}") as stage:
        for done in deregister(octopus, environment):
            reporter.line(f"    {done}")
        for lifecycle in expel(octopus, environment):
            reporter.line(f"    taken out of lifecycle {lifecycle}")
        remove_environment(octopus, environment)
        stage.text = "removed from Octopus"


def _place(
    octopus: Octopus,
    project: Project,
    options: EnvironmentOptions,
    there: OctopusEnvironment | None,
    reporter: Reporter,
) -> _Place:
    projects = chosen_projects(octopus, project, options.octopus, reporter)
    steps: list[PackageStep] = []
    for one in projects:
        all_steps = package_steps(octopus, one, project.package_id)
        mine = [step for step in all_steps if step.runs_in(there.id if there else "")]
        if not mine:
            raise PipelineError(
                f"Octopus project {one.name}",
                f"its steps that use {project.package_id} are limited to other environments",
                "Take these limits out of the deployment process.",
            )
        steps += mine
    return _Place(tuple(projects), tuple(steps))


def _refuse_misfits(octopus: Octopus, project: Project, place: _Place, name: str) -> None:
    settings = project.octopus
    target = (
        Target(resource_name(name, project.function.name), place.roles, has_disk=False)
        if settings.is_cloud_region
        else Target.of(machine_named(octopus, settings.machine))
    )
    for one in place.projects:
        refuse_misfits(one, place.steps, [target], name)


def _register(
    octopus: Octopus, project: Project, place: _Place, environment: OctopusEnvironment
) -> str:
    settings = project.octopus
    if not place.roles:
        return "no machine is needed: every step runs on a worker, for no target"
    if settings.is_cloud_region:
        name = resource_name(environment.name, project.function.name)
        return register_cloud_region(octopus, environment, name, place.roles, settings.pool)
    return join_machine(octopus, environment, machine_named(octopus, settings.machine))


def _permanent(project: Project) -> Sequence[str]:
    return [env.name.casefold() for env in project.environments if env.permanent]


def _refuse_permanent(project: Project, name: str, verb: str) -> None:
    if name.casefold() in _permanent(project):
        raise PipelineError(
            f"{verb} {name}",
            "it is declared as permanent, and its Octopus side is made and removed by people",
            "Choose another name; or look at permanent in pyproject.toml "
            f"[tool.pipeline.environments.{name}].",
        )
    if name.casefold() == LOCAL_ENVIRONMENT:
        raise PipelineError(
            f"{verb} {name}",
            "that is the embedded AWS, which Octopus does not know",
            "Use another name.",
        )
