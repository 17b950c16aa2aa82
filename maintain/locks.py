"""The tooling locks, and the locks that a new repository starts with."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pipeline.edge.files import write_whole
from pipeline.edge.machine import Machine
from pipeline.report.events import Reporter

__all__ = ["write_locks"]

_SCRIPTS = "template/scripts/requirements-{}.txt"
# Later ones are locked to fit the earlier ones: all of them share one .venv.
_ORDER = ("build", "sign", "local", "update", "dev")
_OLDEST_PYTHON = "3.11"


def write_locks(machine: Machine, reporter: Reporter, *, upgrade: bool) -> None:
    """Compile requirements/*.in: universal, with hashes, without addresses."""
    done: list[Path] = []
    for name in _ORDER:
        target = machine.root / (_SCRIPTS.format(name) if name != "dev" else "requirements/dev.txt")
        with reporter.stage("lock") as stage, tempfile.TemporaryDirectory() as scratch:
            kept = Path(scratch) / "lock.txt"
            kept.write_bytes(b"" if upgrade or not target.is_file() else target.read_bytes())
            arguments: list[str | Path] = [
                "--python-version",
                _OLDEST_PYTHON,
                "--output-file",
                kept,
            ]
            for constraint in done:
                arguments += ["--constraint", constraint]
            source = machine.root / "requirements" / f"{name}.in"
            machine.uv.lock([f"-r {source}"], arguments, cwd=Path(scratch))
            write_whole(target, kept.read_bytes())
            stage.text = target.relative_to(machine.root).as_posix()
        done.append(target)
