"""An environment's machines (a cloud region of its own, or a shared machine), and which steps fit.

"Deploy a package" unpacks on its target and needs one with a disk: a Tentacle or an SSH target. A
cloud region has no disk: steps for it run on a worker, as "Run a script" does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..core.errors import PipelineError
from ..core.names import DEPLOY_SCRIPT
from .client import Document, Octopus
from .environments import OctopusEnvironment
from .projects import PackageStep

_CLOUD_REGION = "None"


@dataclass(frozen=True)
class Target:
    """A machine as far as steps care: its name and roles, and whether it has a disk."""

    name: str
    roles: tuple[str, ...]
    has_disk: bool

    @classmethod
    def of(cls, machine: Document) -> Target:
        """Read the resource."""
        style = machine.document("Endpoint").text("CommunicationStyle")
        roles = tuple(machine.texts("Roles"))
        return cls(machine.text("Name"), roles, style not in (_CLOUD_REGION, ""))

    def is_for(self, step: PackageStep) -> bool:
        """Tell whether the step runs for this machine."""
        mine = {role.casefold() for role in self.roles}
        return any(role.casefold() in mine for role in step.roles)


def targets_of(octopus: Octopus, environment: OctopusEnvironment) -> list[Target]:
    """Return the machines of an environment as steps see them."""
    return [Target.of(machine) for machine in _machines_of(octopus, environment)]


def machine_named(octopus: Octopus, name: str) -> Document:
    """Return the machine of that name, in any case."""
    place = 'worker = "machine:NAME" in pyproject.toml [tool.pipeline.octopus]'
    return octopus.required("machines", "machine", name, f"Register it, or correct {place}.")


def register_cloud_region(
    octopus: Octopus, environment: OctopusEnvironment, name: str, roles: Sequence[str], pool: str
) -> str:
    """Register or update the environment's cloud region, and return what was done, in words.

    `pool` names the worker pool that its steps run on; empty means the default one of the space.
    """
    then = "Correct worker-pool in pyproject.toml [tool.pipeline.octopus]."
    pool_id = octopus.required("workerpools", "worker pool", pool, then).identity() if pool else ""
    there = octopus.named("machines", name)
    if there is None:
        region = {
            "Name": name,
            "EnvironmentIds": [environment.id],
            "Roles": list(roles),
            "TenantedDeploymentParticipation": "Untenanted",
            "TenantIds": [],
            "TenantTags": [],
            "IsDisabled": False,
            "Endpoint": {"CommunicationStyle": _CLOUD_REGION, "DefaultWorkerPoolId": pool_id},
        }
        octopus.post("machines", region)
        return f"cloud region {name} registered"
    if Target.of(there).has_disk:
        raise PipelineError(
            f"Octopus machine {name}",
            "it is not a cloud region, but has the name that env.create needs for one",
            "Rename that machine in Octopus.",
        )
    known = {role.casefold() for role in there.texts("Roles")}
    missing = [role for role in roles if role.casefold() not in known]
    if not missing and environment.id in there.texts("EnvironmentIds"):
        return f"cloud region {name} is registered already"
    environments = list(dict.fromkeys([*there.texts("EnvironmentIds"), environment.id]))
    roles = [*there.texts("Roles"), *missing]
    octopus.update("machines", there, EnvironmentIds=environments, Roles=roles)
    return f"cloud region {name} brought up to date"


def add_to_machine(octopus: Octopus, environment: OctopusEnvironment, machine: Document) -> str:
    """Add the environment to an existing machine, and return what was done, in words."""
    name, environments = machine.text("Name"), machine.texts("EnvironmentIds")
    if environment.id in environments:
        return f"machine {name} has it already"
    octopus.update("machines", machine, EnvironmentIds=[*environments, environment.id])
    return f"added to machine {name}"


def deregister(octopus: Octopus, environment: OctopusEnvironment, only: str = "") -> list[str]:
    """Remove every machine, or that of one name, from an environment; return what was done.

    A machine that has other environments stays in those.
    """
    done = []
    for machine in _machines_of(octopus, environment):
        name = machine.text("Name")
        if only not in ("", name):
            continue
        others = [other for other in machine.texts("EnvironmentIds") if other != environment.id]
        if others:
            octopus.update("machines", machine, EnvironmentIds=others)
            done.append(f"taken out of machine {name}")
        else:
            octopus.delete(f"machines/{machine.identity()}")
            done.append(f"machine {name} deregistered")
    return done


def _machines_of(octopus: Octopus, environment: OctopusEnvironment) -> list[Document]:
    # The whole list is read before anything changes: pages of a shrinking list would skip some.
    # Servers that do not know the filter return all machines.
    found = list(octopus.all("machines", environmentIds=environment.id))
    return [machine for machine in found if environment.id in machine.texts("EnvironmentIds")]


def check_steps(steps: Sequence[PackageStep], targets: Sequence[Target], environment: str) -> None:
    """Check a project's steps that use the package: one has to deploy it, others may use it too.

    Raises PipelineError where none runs the deploy script in an environment, or where one that
    does cannot run on its machines, with the fix.
    """
    if not any(step.deploys for step in steps):
        project = steps[0].project
        others = "; ".join(f"step {step.name!r} {step.runs}" for step in steps)
        raise PipelineError(
            f"Octopus project {project}",
            f"no step in {environment} runs the package's {DEPLOY_SCRIPT}: {others}",
            f'Add a step "Run a script" with its script from the package, file {DEPLOY_SCRIPT}.',
        )
    for step in steps:
        if step.deploys:
            _check_targets(step, targets, environment)


def _check_targets(step: PackageStep, targets: Sequence[Target], environment: str) -> None:
    where = f"Octopus project {step.project}, step {step.name!r}"
    mine = [target for target in targets if target.is_for(step)]
    if not mine and (step.unpacks_on_target or not step.on_worker or step.roles):
        roles = ", ".join(step.roles)
        raise PipelineError(
            where,
            f"no machine in {environment} has the role {roles}"
            if roles
            else "it has no target role, so it would run nowhere",
            f"Give a machine in {environment} that role in Octopus, or correct the step's."
            if roles
            else "Give the step a target role, or let it run on a worker.",
        )
    without_disk = [target.name for target in mine if not target.has_disk]
    if step.unpacks_on_target and without_disk:
        raise PipelineError(
            where,
            f'it is "Deploy a package", and the cloud region {without_disk[0]} in '
            f"{environment} has no disk to unpack it on",
            f'Make it "Run a script" on a worker, with its script from the package, file '
            f'{DEPLOY_SCRIPT}; or set worker = "machine:NAME" in pyproject.toml '
            "[tool.pipeline.octopus] and use a Tentacle or SSH target.",
        )
