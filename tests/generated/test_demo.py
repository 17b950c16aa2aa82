"""The main job: from questions to lines on a socket in one command, and the ways back."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import MadeOnce
from tests.generated.repository import PYTHON, environment
from tests.repositories import copy_work_tree
from tests.tools import tool

# The version that serves after each step, once there is one.
SERVED = ["", "", "", "$LATEST", "$LATEST", "1", "1", "3", "1", "1", "1"]
LINES = 6


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of the processes that were started below a folder, or know of it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            known = (
                command
                + (process / "environ").read_bytes()
                + os.fsencode((process / "cwd").readlink())
            )
        except OSError:  # it has ended, or is another user's
            continue
        if os.fsencode(folder) in known and process.name != str(os.getpid()):
            found.append(command.replace(b"\0", b" ").decode(errors="replace"))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("language", ["python", "node"])
def test_the_demo(made_once: MadeOnce, tmp_path: Path, language: str) -> None:
    """`demo` works from an empty home; each act leaves traffic where it should, and no trace.

    The demo itself ends where a verb's exit code is another one than is shown, or lines are lost.
    """
    if language == "node":
        tool("npm")
    temporary = tmp_path / "temporary files"
    home = tmp_path / "home"
    temporary.mkdir()
    home.mkdir()
    done = subprocess.run(
        [PYTHON, "tasks.py", "demo", "--language", language, "--json"],
        cwd=made_once("the work tree", copy_work_tree),
        env=environment({"TMPDIR": str(temporary), "HOME": str(home), "TERM": "dumb"}),
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    steps = answer["steps"]
    assert [step["version"] for step in steps] == SERVED
    shipped = [[record.get("Team") for record in step["shipped"]] for step in steps]
    # Of the first release in two environments, of the second, and of the first one again.
    first, second = [None] * LINES, ["shop"] * LINES
    assert list(filter(None, shipped)) == [first, first, second, first]
    # Calls of the canary failed, so many that it could be judged; those beside it did not.
    assert answer["calls"]["failed"] >= 20
    assert answer["calls"]["answered"] > 0
    for number, step in enumerate(steps, 1):
        assert f"\n{number}. {step['title']}\n" in done.stderr
    assert "\x1b" not in done.stderr
    assert "Traceback" not in done.stderr
    # A path, a hash and an address are never cut; all else has 80 columns.
    wide = [line for line in done.stderr.splitlines() if len(line) > 80 and line.count(" ") > 1]
    assert [line for line in wide if "/" not in line] == []
    # All that stays is where the temporary folders of later verbs will be, and its lock.
    assert [path.name for path in temporary.rglob("*") if path.is_file()] == [".lock"]
    assert processes_of(temporary) == []
