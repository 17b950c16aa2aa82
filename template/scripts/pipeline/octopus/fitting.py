"""Whether a step of the deployment process can run our deploy script on the machines there are.

"Deploy a package" unpacks on the target and needs one with a disk: a Tentacle or SSH target. A
cloud region has none: steps for it run on a worker, as "Run a script" does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import PipelineError
from .document import Document, read, text, texts
from .projects import OctopusProject, PackageStep

__all__ = ["DEPLOY_SCRIPT", "Target", "refuse_misfits"]

DEPLOY_SCRIPT = "deploy.py"
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
        style = text(read(machine, "Endpoint", {}), "CommunicationStyle")
        roles = tuple(texts(machine, "Roles"))
        return cls(text(machine, "Name"), roles, style not in (_CLOUD_REGION, ""))

    def is_for(self, step: PackageStep) -> bool:
        """Tell whether the step runs for this machine."""
        mine = {role.casefold() for role in self.roles}
        return any(role.casefold() in mine for role in step.roles)


def refuse_misfits(
    project: OctopusProject,
    steps: Sequence[PackageStep],
    targets: Sequence[Target],
    environment: str,
) -> None:
    """Raise PipelineError where a step cannot run on an environment's machines, with the fix."""
    for step in steps:
        where = f"Octopus project {project.name}, step {step.name!r}"
        if not step.unpacks_on_target:
            _check_script(step, where)
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


def _check_script(step: PackageStep, where: str) -> None:
    if step.script_source == "Package" and step.script == DEPLOY_SCRIPT:
        return
    has = f"runs {step.script!r}" if step.script_source == "Package" else "has its script elsewhere"
    raise PipelineError(
        where,
        f"it uses the package, but {has}",
        f"Let it run the file {DEPLOY_SCRIPT} from the package.",
    )
