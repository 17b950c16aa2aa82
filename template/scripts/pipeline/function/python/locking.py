"""Writing the locks: what `pyproject.toml` asks for becomes exact versions and hashes."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core.events import Reporter
from ...core.manifest import Dependency
from ...edge.files import write_whole
from ...edge.machine import Machine
from ...project.project import Project
from ..engine import LockChange
from .hash_lock import FUNCTION_LOCK, TEST_LOCK, check_lock, locked, read_lock, with_wheels


def write_locks(
    project: Project, upgrade: Sequence[str] | None, machine: Machine, reporter: Reporter
) -> tuple[LockChange, ...]:
    """Write `requirements/function.txt` and `requirements/test.txt`.

    `upgrade` is None to keep what is locked where it still fits, empty to upgrade everything,
    or the packages to upgrade. The tests' packages are locked to fit the function's.
    """
    runtime, architecture = project.function.runtime, project.function.architecture
    function = _Wanted(FUNCTION_LOCK, project.dependencies, runtime.platform(architecture))
    tests = _Wanted(TEST_LOCK, project.test_dependencies, constraint=project.root / FUNCTION_LOCK)
    changes = []
    for wanted in (function, tests):
        with reporter.stage("lock") as stage:
            stage.progress(f"{wanted.file}   resolving")
            change = _lock_one(project, wanted, upgrade, machine)
            stage.text = f"{wanted.file}   {change}"
            changes.append(change)
    return tuple(changes)


@dataclass(frozen=True)
class _Wanted:
    """A lock to write. With a `platform` only versions that have a wheel for it will do."""

    file: str
    requirements: tuple[str, ...]
    platform: str = ""
    constraint: Path | None = None


def _lock_one(
    project: Project, wanted: _Wanted, upgrade: Sequence[str] | None, machine: Machine
) -> LockChange:
    target = project.root / wanted.file
    before = read_lock(project.root, wanted.file) if target.is_file() else ""
    python: list[str | Path] = ["--python-version", project.function.runtime.version]
    upgrades = [] if upgrade is None else ["--upgrade"]
    if upgrade:
        upgrades = [word for name in upgrade for word in ("--upgrade-package", name)]
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        kept, fitting = scratch / "locked.txt", scratch / "fitting.txt"
        kept.write_text(before, encoding="utf-8")
        arguments = [*python, *upgrades, "--output-file", kept]
        if wanted.constraint:
            arguments += ["--constraint", wanted.constraint]
        if wanted.platform:
            # A universal resolution takes the newest version, also where it has a wheel for
            # other platforms only; so Lambda's platform decides on the versions.
            fitting.write_text(before, encoding="utf-8")
            place = [*python, *upgrades, "--python-platform", wanted.platform]
            machine.uv.resolve(wanted.requirements, [*place, "--output-file", fitting])
            arguments += ["--constraint", fitting]
        machine.uv.lock(wanted.requirements, arguments)
        text = kept.read_text(encoding="utf-8")
        if wanted.platform:
            # The wheels that Lambda may take, so that a build can tell which one it took.
            wheels = scratch / "pylock.toml"
            place = [*python, "--python-platform", wanted.platform, "--no-deps"]
            place += ["--format", "pylock.toml", "--output-file", wheels]
            machine.uv.resolve(text.splitlines(), place)
            text = with_wheels(text, wheels.read_text(encoding="utf-8"))
    check_lock(wanted.file, text, wanted.requirements)
    if text != before:
        write_whole(target, text.encode())
    return _change(wanted.file, locked(before), locked(text))


def _change(file: str, before: Sequence[Dependency], after: Sequence[Dependency]) -> LockChange:
    old = {item.name: item.version for item in before}
    new = {item.name: item.version for item in after}
    return LockChange(
        file,
        packages=len(new),
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        moved=tuple(
            f"{name} {old[name]} -> {new[name]}"
            for name in sorted(new)
            if name in old and old[name] != new[name]
        ),
    )
