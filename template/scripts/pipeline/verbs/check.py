"""The last part of packaging: what would be refused later is said now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..edge.machine import Machine
from ..engines.preflight import Candidate, Place, preflight
from ..engines.python import Restored
from ..report.events import Reporter
from ..values.project import Project
from .package import Built

if TYPE_CHECKING:
    from ..local.pool import LocalRuntime

__all__ = ["Made", "check_build"]


@dataclass(frozen=True)
class Made:
    """What packaging made, and of what; `imports` asks for an import of the handler."""

    built: Built
    restored: Restored
    imports: bool


def check_build(project: Project, made: Made, machine: Machine, reporter: Reporter) -> None:
    """Check a build that nobody has been given yet; raises PipelineError with every reason."""

    def runtime() -> LocalRuntime:
        from .interpreter import local_runtime  # noqa: PLC0415 - what runs functions is large

        return local_runtime(project.function, machine, reporter)

    candidate = Candidate(project, made.built.package, made.built.function_zip, made.restored)
    today = machine.now().date()
    place = Place(machine.cache, machine.environ, today, runtime if made.imports else None)
    with reporter.stage("check") as stage:
        checked = preflight(candidate, place)
        stage.text = checked.text
    for note in checked.notes:
        reporter.warn(note)
