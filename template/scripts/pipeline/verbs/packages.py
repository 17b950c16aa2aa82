"""Which package a verb takes: the one that was named, else the last build's."""

from __future__ import annotations

from pathlib import Path

from ..edge.machine import Machine
from ..errors import PipelineError
from .build import last_build

__all__ = ["chosen_package"]


def chosen_package(named: str | None, machine: Machine) -> Path:
    """Return the path of the named package, or of the last build's."""
    if named:
        path = Path(named)
        if not path.is_file():
            raise PipelineError(
                "package", f"{named} is not there", "Name a .nupkg file, or run `invoke build`."
            )
        return path.resolve()
    latest = last_build(machine)
    if latest is None:
        raise PipelineError(
            "package",
            "nothing has been built here yet",
            "Run `invoke build`, or name a .nupkg file.",
        )
    return latest.package_path(machine.root)
