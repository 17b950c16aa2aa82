"""Writing the locks: what `pyproject.toml` asks for becomes exact versions and hashes."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import Requirement

from ...core.errors import PipelineError
from ...core.events import Reporter
from ...edge.files import write_whole
from ...edge.machine import Machine
from ...edge.uv import COMPILE
from ...project.project import OTHER_WAYS, Project
from ...project.tables import normal
from ..engine import LockChange
from .hash_lock import FUNCTION_LOCK, TEST_LOCK, check_lock, read_lock, versions, with_wheels

# What uv says of a version that an index has, though not as a wheel that fits.
_NO_WHEEL = re.compile(r"no (usable )?wheels|[Ww]heels are required|building from source")


def write_locks(
    project: Project, upgrade: Sequence[str] | None, machine: Machine, reporter: Reporter
) -> tuple[LockChange, ...]:
    """Write `requirements/function.txt` and `requirements/test.txt`.

    `upgrade` is None to keep what is locked where it still fits, empty to upgrade everything,
    or the packages to upgrade. The tests' packages are locked to fit the function's.
    """
    changes = []
    for file, key, requirements in (
        (FUNCTION_LOCK, "[project] dependencies", project.dependencies),
        (TEST_LOCK, "[dependency-groups] test", project.test_dependencies),
    ):
        with reporter.stage("lock") as stage:
            stage.progress(f"{file}   resolving")
            try:
                change, warnings = _lock_one(project, file, requirements, upgrade, machine)
            except PipelineError as error:
                raise _with_place(error, key, requirements, project) from error
            stage.text = f"{file}   {change}"
            changes.append(change)
        for warning in warnings:
            reporter.warn(f"{file}: {warning}")
    return tuple(changes)


def _with_place(
    error: PipelineError, key: str, requirements: Sequence[str], project: Project
) -> PipelineError:
    """Return what uv has said with the requirements it is about, and a way out."""
    if error.where != COMPILE:
        return error
    said = {normal(word) for word in re.findall(r"[\w.-]*\w", error.what)}
    about = [line for line in requirements if normal(Requirement(line).name) in said]
    where = f"pyproject.toml {key}{': ' if about else ''}{', '.join(about)}"
    then = "Change what it asks for, or name the index that has it in UV_INDEX."
    if _NO_WHEEL.search(error.what):
        runtime, architecture = project.function.runtime, project.function.architecture
        then = f"Ask for a version with wheels for {runtime.name} on {architecture}. {OTHER_WAYS}"
    return PipelineError(where, error.what, error.then or then)


def _lock_one(
    project: Project, file: str, requirements: Sequence[str], upgrade: Sequence[str] | None,
    machine: Machine,
) -> tuple[LockChange, Sequence[str]]:  # fmt: skip
    """Return how the lock has changed, and what uv warned of.

    The function's holds only versions that have a wheel for its platform.
    """
    target = project.root / file
    before = read_lock(project.root, file) if target.is_file() else ""
    runtime = project.function.runtime
    python: list[str | Path] = ["--python-version", runtime.version]
    platform = ["--python-platform", runtime.platform(project.function.architecture)]
    upgrades = [] if upgrade is None else ["--upgrade"]
    if upgrade:
        upgrades = [word for name in upgrade for word in ("--upgrade-package", name)]
    warned: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        kept, fitting = scratch / "locked.txt", scratch / "fitting.txt"
        kept.write_text(before, encoding="utf-8")
        arguments = [*python, *upgrades, "--output-file", kept]
        if file == TEST_LOCK:
            arguments += ["--constraint", project.root / FUNCTION_LOCK]
        else:
            # A universal resolution takes the newest version, also where it has a wheel for
            # other platforms only; so Lambda's platform decides on the versions.
            fitting.write_text(before, encoding="utf-8")
            place = [*python, *upgrades, *platform]
            warned += machine.uv.resolve(requirements, [*place, "--output-file", fitting])
            arguments += ["--constraint", fitting]
        warned += machine.uv.lock(requirements, arguments)
        text = kept.read_text(encoding="utf-8")
        if file == FUNCTION_LOCK:
            # The wheels that Lambda may take, so that a build can tell which one it took.
            wheels = scratch / "pylock.toml"
            place = [*python, *platform, "--no-deps"]
            place += ["--format", "pylock.toml", "--output-file", wheels]
            machine.uv.resolve(text.splitlines(), place)
            text = with_wheels(text, wheels.read_text(encoding="utf-8"))
    check_lock(file, text, requirements)
    if text != before or not target.is_file():
        write_whole(target, text.encode())
    change = LockChange.between(file, versions(before), versions(text))
    return change, [*dict.fromkeys(warned)]
