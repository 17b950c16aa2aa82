"""`lock`: what the project asks for becomes exact versions and hashes."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.events import Reporter
from ..edge.machine import Machine
from ..function.engine import LockChange, engine_for
from ..project.project import Project


def lock(
    project: Project, upgrade: Sequence[str] | None, machine: Machine, reporter: Reporter
) -> tuple[LockChange, ...]:
    """Write the locks of the function and of its tests.

    `upgrade` is None to keep what is locked where it still fits, empty to upgrade everything, or
    the packages to upgrade.
    """
    return engine_for(project.function.runtime).lock(project, upgrade, machine, reporter)
