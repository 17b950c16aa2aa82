"""What `check` runs over the Python files: ruff, and mypy where the repository asks for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ...core.errors import PipelineError
from ...core.events import Reporter
from ...edge.machine import Machine
from ...project.project import Project
from ..engine import Linter
from .hash_lock import TEST_LOCK, locked, read_lock
from .tests import own_python

_RUFF = (sys.executable, "-m", "ruff")


@contextmanager
def linters(
    project: Project, machine: Machine, reporter: Reporter, *, fix: bool
) -> Iterator[tuple[Linter, ...]]:
    """Give ruff as the tooling has it, and mypy as the tests' lock has it, beside the packages.

    `[tool.mypy]` in `pyproject.toml` asks for types.
    """
    found = (
        Linter("lint", (*_RUFF, "check", *(["--fix"] if fix else []), "."), "ruff found nothing"),
        Linter("format", (*_RUFF, "format", *([] if fix else ["--check"]), "."), "as ruff has it"),
    )
    if project.mypy is None:
        yield found
        return
    if not any(entry.name == "mypy" for entry in locked(read_lock(project.root, TEST_LOCK))):
        what = "[tool.mypy] asks for types, and mypy is not locked"
        then = "Add it to `test` in [dependency-groups], then run `python3 tasks.py lock`."
        raise PipelineError("pyproject.toml", what, then)
    with own_python(project, machine, reporter) as (python, _):
        yield *found, Linter("types", (python, "-m", "mypy", *project.mypy), "mypy found nothing")
