"""Which package a verb takes: the one that was named, else the last build's, or a new one."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import PipelineError
from ..core.events import Reporter
from ..edge.machine import Machine
from ..project.project import Project
from .build import BuildOptions, build, is_stale, last_build


def chosen_package(named: str | None, machine: Machine) -> Path:
    """Return the path of the named package, or of the last build's."""
    if named:
        path = Path(named)
        if not path.is_file():
            raise PipelineError(
                "package",
                f"{named} is a folder" if path.is_dir() else f"{named} is not there",
                "Name a .nupkg file, or run `python3 tasks.py build`.",
            )
        return path.resolve()
    latest = last_build(machine)
    if latest is None:
        raise PipelineError(
            "package",
            "nothing has been built here yet",
            "Run `python3 tasks.py build`, or name a .nupkg file.",
        )
    return latest.package_path(machine.root)


def fresh_package(
    project: Project, named: str | None, machine: Machine, reporter: Reporter
) -> Path:
    """Return the named package, or the last build's; that is made first when missing or stale."""
    if named:
        return chosen_package(named, machine)
    latest = last_build(machine)
    if latest is None or is_stale(latest, machine):
        latest = build(project, BuildOptions(), machine, reporter).latest
    return latest.package_path(machine.root)
