"""The team's steps in a build, and what they print."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..deploy.hooks import load_hooks

Say = Callable[[str], None]
_HOOKS = "scripts/hooks_build.py"
_STDOUT = 1


def run_build_hook(stage: str, value: object, root: Path, say: Say) -> None:
    """Run a stage's function of the repository's build hooks, if it has one.

    What it prints goes to `say`, line by line, when it has ended. Raises PipelineError as
    `load_hooks` does.
    """
    with _printed(say):
        load_hooks(root / _HOOKS, _HOOKS)(stage, value)


@contextmanager
def _printed(say: Say) -> Iterator[None]:
    # The system's standard output, not Python's: a hook may well run programs. Line by line, so
    # that what both print keeps its order.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    kept = os.dup(_STDOUT)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), _STDOUT)
        try:
            yield
        finally:
            sys.stdout.flush()
            os.dup2(kept, _STDOUT)
            os.close(kept)
            file.seek(0)
            for line in file.read().decode("utf-8", "replace").splitlines():
                say(line)
