"""What a repository says of Octopus: the space, the project, and what its steps run on."""

from __future__ import annotations

from dataclasses import dataclass

from .tables import Table

CLOUD_REGION = "cloud-region"
_MACHINE = "machine:"


@dataclass(frozen=True)
class OctopusSettings:
    """The table `[tool.pipeline.octopus]`.

    `machine` names the deployment target to add environments to; it is empty where each
    environment gets a cloud region of its own. `pool` names the worker pool of these; empty
    means the space's default one.
    """

    space: str = ""
    project: str = ""
    machine: str = ""
    pool: str = ""

    @property
    def is_cloud_region(self) -> bool:
        """Tell whether steps run on a worker, on behalf of a cloud region."""
        return not self.machine

    @classmethod
    def read(cls, table: Table) -> OctopusSettings:
        """Read the table; every key may be absent."""
        worker = table.text("worker", CLOUD_REGION)
        machine = worker.removeprefix(_MACHINE).strip() if worker.startswith(_MACHINE) else ""
        if not machine and worker != CLOUD_REGION:
            then = f'Write "{CLOUD_REGION}", or "{_MACHINE}NAME" for a deployment target.'
            raise table.error("worker", f"{worker!r} is not known", then)
        settings = cls(
            table.text("space", ""),
            table.text("project", ""),
            machine,
            table.text("worker-pool", ""),
        )
        table.refuse_unknown()
        return settings
