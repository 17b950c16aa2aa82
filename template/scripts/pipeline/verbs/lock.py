"""`lock`: what `pyproject.toml` asks for becomes exact versions and hashes."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..edge.files import write_whole
from ..edge.machine import Machine
from ..engines.lock import check_lock, locked
from ..engines.python import FUNCTION_LOCK
from ..report.events import Reporter
from ..values.manifest import Dependency
from ..values.project import Project
from .test import TEST_LOCK

__all__ = ["LockChange", "lock"]


@dataclass(frozen=True)
class LockChange:
    """How one lock file changed: `added`, `removed` and `moved` name packages."""

    file: str
    packages: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    moved: tuple[str, ...]

    def __str__(self) -> str:
        parts = (
            [f"+{name}" for name in self.added]
            + [f"-{name}" for name in self.removed]
            + list(self.moved)
        )
        return f"{self.packages} packages" + (
            f": {', '.join(parts)}" if parts else ", nothing changed"
        )


def lock(
    project: Project, upgrade: Sequence[str] | None, machine: Machine, reporter: Reporter
) -> tuple[LockChange, ...]:
    """Write `requirements/function.txt` and `requirements/test.txt`.

    `upgrade` is None to keep what is locked where it still fits, empty to upgrade everything,
    or the packages to upgrade. The tests' packages are locked to fit the function's.
    """
    changes = []
    function = project.root / FUNCTION_LOCK
    jobs = (
        (FUNCTION_LOCK, project.dependencies, ()),
        (TEST_LOCK, project.test_dependencies, (function,)),
    )
    for file, requirements, constraints in jobs:
        with reporter.stage("lock") as stage:
            change = _lock_one(project, file, requirements, (constraints, upgrade), machine)
            stage.text = f"{file}   {change}"
            changes.append(change)
    return tuple(changes)


def _lock_one(
    project: Project,
    file: str,
    requirements: Sequence[str],
    how: tuple[Sequence[Path], Sequence[str] | None],
    machine: Machine,
) -> LockChange:
    constraints, upgrade = how
    target = project.root / file
    before = target.read_text(encoding="utf-8") if target.is_file() else ""
    with tempfile.TemporaryDirectory() as scratch:
        kept = Path(scratch) / "locked.txt"
        kept.write_text(before, encoding="utf-8")
        arguments: list[str | Path] = [
            "--python-version",
            project.function.runtime.python,
            "--output-file",
            kept,
        ]
        for constraint in constraints:
            arguments += ["--constraint", constraint]
        if upgrade is not None:
            arguments += [word for name in upgrade for word in ("--upgrade-package", name)] or [
                "--upgrade"
            ]
        machine.uv.compile(requirements, arguments, cwd=Path(scratch))
        text = kept.read_text(encoding="utf-8")
    check_lock(file, text, requirements)
    if text != before:
        write_whole(target, text.encode())
    return _change(file, locked(before), locked(text))


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
