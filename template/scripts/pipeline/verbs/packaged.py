"""`run`: the function of a package, as it lies in the package, on this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..archive.zipreader import open_archive, read_member
from ..edge.machine import Machine
from ..errors import PipelineError
from ..local.function_code import FunctionConfig
from ..octopus.variables import declared_values, resolve
from ..report.events import Reporter
from ..values.environments import LOCAL_ENVIRONMENT
from ..values.manifest import MANIFEST_NAME, Manifest
from ..values.project import Project
from .build import BuildOptions, build, is_stale, last_build
from .interpreter import local_runtime
from .package import FUNCTION_ZIP
from .packages import chosen_package
from .run import RunOutcome, RunRequest, run_function

__all__ = ["packaged", "run_packaged", "run_settings"]

_TIMEOUT_SECONDS = 60


def packaged(project: Project, named: str | None, machine: Machine, reporter: Reporter) -> Path:
    """Return the named package, or the last build's; that is made first when missing or stale."""
    if named:
        return chosen_package(named, machine)
    latest = last_build(machine)
    if latest is None or is_stale(latest, machine):
        latest = build(project, BuildOptions(), machine, reporter).latest
    return latest.package_path(machine.root)


def run_packaged(
    project: Project, package: Path, events: Sequence[bytes], machine: Machine, reporter: Reporter
) -> RunOutcome:
    """Run the package's function zip for every event; its variables are those of `local`."""
    archive = open_archive(package)
    members = {entry.name: entry for entry in archive.entries}
    missing = [name for name in (MANIFEST_NAME, FUNCTION_ZIP) if name not in members]
    if missing:
        raise PipelineError(
            package.name,
            f"there is no {missing[0]} in it",
            "Run a package that `invoke build` made.",
        )
    manifest = Manifest.from_json(read_member(archive, members[MANIFEST_NAME]), where=package.name)
    settings = run_settings(project, manifest.function.environment, machine)
    # `run_function` names the Python, and what may come of it.
    runtime = local_runtime(project.function, machine, reporter, warns=False)
    with tempfile.TemporaryDirectory() as scratch:
        function_zip = Path(scratch) / FUNCTION_ZIP
        function_zip.write_bytes(read_member(archive, members[FUNCTION_ZIP]))
        request = RunRequest(
            function_zip=function_zip,
            function=manifest.function,
            events=events,
            python=runtime.python,
            python_version=runtime.version,
            ric=runtime.ric,
            extra_paths=runtime.extra_paths,
            settings=settings,
        )
        return run_function(request, reporter)


def run_settings(
    project: Project, templates: Mapping[str, str], machine: Machine
) -> FunctionConfig:
    """Return how `run` runs a function: its variables are filled with those of `local`."""
    local = project.environment(LOCAL_ENVIRONMENT)
    declared = {"Octopus.Environment.Name": local.name, **local.variables}
    values = resolve(templates, declared_values(templates, declared, machine.environ), where="run")
    return FunctionConfig("run", timeout=_TIMEOUT_SECONDS, environment=values)
