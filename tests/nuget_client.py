"""The real NuGet client, as Debian packages it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tools import tool

__all__ = ["Nuget", "nuget"]

Nuget = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def nuget(tmp_path_factory: pytest.TempPathFactory) -> Nuget:
    """Run `nuget` with the given arguments in the folder `cwd`."""
    program = tool("nuget")
    # A dumb terminal and no input: otherwise it asks the terminal where its cursor is, and hangs.
    env = {**os.environ, "TERM": "dumb", "HOME": str(tmp_path_factory.mktemp("nuget-home"))}

    def run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *map(str, arguments), "-NonInteractive"],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=120,
            check=False,
        )

    return run
