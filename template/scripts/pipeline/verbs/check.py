"""The last part of packaging: what would be refused later is said now."""

from __future__ import annotations

from ..edge.machine import Machine
from ..engines.preflight import Candidate, Place, preflight
from ..engines.python import Restored
from ..local.pool import LocalRuntime
from ..report.events import Reporter
from ..values.project import Project
from .interpreter import local_runtime
from .package import Built

__all__ = ["check_build"]


def check_build(
    project: Project, built: Built, restored: Restored, machine: Machine, reporter: Reporter
) -> None:
    """Check a build that nobody has been given yet; raises PipelineError with every reason."""

    def runtime() -> LocalRuntime:
        return local_runtime(project.function, machine, reporter)

    zipped = built.function_zip
    candidate = Candidate(project, built.package, zipped.path, zipped.facts, restored)
    place = Place(machine.cache, machine.environ, machine.now().date(), runtime)
    with reporter.stage("check") as stage:
        checked = preflight(candidate, place)
        stage.text = checked.text
    for note in checked.notes:
        reporter.warn(note)
