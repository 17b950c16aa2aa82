"""The real NuGet client, as Debian packages it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tools import tool

_SOON, _AT_LAST = 8.0, 120.0  # seconds
_PUSHED = b"Your package was pushed."

Nuget = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def nuget(tmp_path_factory: pytest.TempPathFactory) -> Nuget:
    """Run `nuget` with the given arguments in the folder `cwd`."""
    program = tool("nuget")
    # A dumb terminal and no input: otherwise it asks the terminal where its cursor is, and hangs.
    env = {**os.environ, "TERM": "dumb", "HOME": str(tmp_path_factory.mktemp("nuget-home"))}

    def run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
        child = subprocess.Popen(
            [program, *map(str, arguments), "-NonInteractive"],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        code, streams = _ended(child)
        out, err = (stream.decode("utf-8", "replace") for stream in streams)
        return subprocess.CompletedProcess(child.args, code, out, err)

    return run


def _ended(child: subprocess.Popen[bytes]) -> tuple[int, tuple[bytes, bytes]]:
    try:
        return _result(child, _SOON)
    except subprocess.TimeoutExpired as slow:
        # After a push mono sometimes takes a minute to end, with all its work done and said.
        if _PUSHED in (slow.stdout or b""):
            child.kill()
            return 0, child.communicate()
    try:
        return _result(child, _AT_LAST)
    finally:
        child.kill()


def _result(child: subprocess.Popen[bytes], seconds: float) -> tuple[int, tuple[bytes, bytes]]:
    streams = child.communicate(timeout=seconds)
    return child.returncode, streams
