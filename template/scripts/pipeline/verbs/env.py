"""`env.*`: temporary environments in Octopus, each with a machine.

Every verb may be repeated: it keeps what exists and continues what was left half-done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ..core.errors import PipelineError
from ..core.events import Reporter
from ..core.names import resource_name
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
from .release import OctopusOptions, chosen_projects, connected


def create_environment(
    project: Project,
    name: str,
    options: OctopusOptions,
    environ: Mapping[str, str],
    reporter: Reporter,
    *,
    expires: datetime | None = None,
) -> OctopusEnvironment:
    """Make an environment in Octopus, add it to the lifecycles, and give it a machine.

    From `expires` on, `env.reap` may remove it. Raises PipelineError, before anything is made,
    for a permanent environment and for a deployment process whose steps do not fit the machine.
    """
    _refuse_permanent(project, name, "env.create")
    resource_name(name, project.function.name)
    octopus = connected(options, environ, reporter)
    with reporter.stage(f"create {name}") as stage:
        there = find_environment(octopus, name)
        there_id = there.id if there else ""
        projects = chosen_projects(octopus, project, options, reporter)
        used = [
            steps_in(one, package_steps(octopus, one, project.package_id), there_id, name)
            for one in projects
        ]
        roles = tuple(
            dict.fromkeys(role for steps in used for step in steps for role in step.roles)
        )
        target = _target(octopus, project, name, roles)
        for steps in used:
            check_steps(steps, [target], name)
        owner = there.owner if there and there.owner else project.package_id
        expires = expires or (there.expires if there else None)
        environment, created = ensure_environment(octopus, name, owner, expires)
        for lifecycle in add_to_lifecycles(octopus, projects, environment):
            reporter.line(f"    added to lifecycle {lifecycle}")
        reporter.line(f"    {_register(octopus, project, roles, environment)}")
        stage.text = "made in Octopus" if created else "was in Octopus, now complete"
    return environment


def delete_environment(
    project: Project,
    name: str,
    options: OctopusOptions,
    environ: Mapping[str, str],
    reporter: Reporter,
    *,
    confirm: str = "",
) -> bool:
    """Deregister the machines of an environment, then remove it; False when it was not there.

    One that was made for another service stays, without this one's machine, unless `confirm`
    repeats its name. Raises as `refuse_removal` does, and for one that something refers to, with
    the list of what does.
    """
    octopus, environment = refuse_removal(project, name, options, environ, reporter, confirm)
    if environment is None:
        reporter.line(f"{name} is not in Octopus")
        return False
    if environment.is_of_another(project.package_id) and confirm != environment.name:
        own = f"{environment.name}-{project.function.name}"
        for done in deregister(octopus, environment, own):
            reporter.line(f"    {done}")
        text = f"    {environment.name} stays in Octopus: it was made for {environment.owner}"
        reporter.line(f"{text}; --confirm {environment.name} removes it all the same")
        return False
    remove_from_octopus(octopus, environment, reporter)
    return True


def refuse_removal(
    project: Project,
    name: str,
    options: OctopusOptions,
    environ: Mapping[str, str],
    reporter: Reporter,
    confirm: str,
) -> tuple[Octopus, OctopusEnvironment | None]:
    """Return what `delete_environment` would remove, and the Octopus it is in.

    Raises PipelineError for a permanent one, and for one that `env.create` did not make unless
    `confirm` repeats its name.
    """
    _refuse_permanent(project, name, "env.delete")
    octopus = connected(options, environ, reporter)
    environment = find_environment(octopus, name)
    if environment and not environment.owner and confirm != environment.name:
        raise PipelineError(
            f"env.delete {environment.name}",
            "env.create did not make this environment",
            f"If it is to go, pass --confirm {environment.name}.",
        )
    return octopus, environment


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


def _target(octopus: Octopus, project: Project, name: str, roles: tuple[str, ...]) -> Target:
    """Return the machine that an environment of this name has, or is going to have."""
    if project.octopus.is_cloud_region:
        return Target(resource_name(name, project.function.name), roles, has_disk=False)
    return Target.of(machine_named(octopus, project.octopus.machine))


def _register(
    octopus: Octopus, project: Project, roles: Sequence[str], environment: OctopusEnvironment
) -> str:
    settings = project.octopus
    if not roles:
        return "no machine is needed: every step runs on a worker, for no target"
    if settings.is_cloud_region:
        name = resource_name(environment.name, project.function.name)
        return register_cloud_region(octopus, environment, name, roles, settings.pool)
    return add_to_machine(octopus, environment, machine_named(octopus, settings.machine))


def is_permanent(project: Project, name: str) -> bool:
    """Tell whether an environment is declared as permanent: its Octopus side is not ours."""
    return name.casefold() in _permanent(project)


def _permanent(project: Project) -> Sequence[str]:
    return [env.name.casefold() for env in project.environments if env.permanent]


def _refuse_permanent(project: Project, name: str, verb: str) -> None:
    if name.casefold() in _permanent(project):
        raise PipelineError(
            f"{verb} {name}",
            "it is declared as permanent: people create and remove it in Octopus, not this verb",
            "Choose another name; or look at permanent in pyproject.toml "
            f"[tool.pipeline.environments.{name}].",
        )
    if name.casefold() == LOCAL_ENVIRONMENT:
        raise PipelineError(
            f"{verb} {name}",
            "that is the embedded AWS, which Octopus does not know",
            "Use another name.",
        )
