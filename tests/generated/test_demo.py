"""The main job: from questions to lines on a socket in one command."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.generated.repository import PYTHON, environment
from tests.tools import tool

STEPS = (
    "Generate a repository with the defaults",
    "Build the versioned package",
    "Look into the package",
    "Start the embedded AWS and make the function's stack in it",
    "Deploy the package with its own deploy script",
    "Put a load balancer log into the bucket; the function ships its lines",
    "Deploy a package whose handler is missing, and read what is said",
)


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
@pytest.mark.parametrize(
    ("language", "missing"),
    [("python", "elb_logs_processor/handel.py"), ("node", "indeks.mjs")],
)
def test_the_demo(template_clone: Path, tmp_path: Path, language: str, missing: str) -> None:
    """`python3 tasks.py demo` works from an empty home, shows every step, and leaves nothing."""
    if language == "node":
        tool("npm")
    temporary = tmp_path / "temporary files"
    home = tmp_path / "home"
    temporary.mkdir()
    home.mkdir()
    done = subprocess.run(
        [PYTHON, "tasks.py", "demo", "--language", language],
        cwd=template_clone,
        env=environment({"TMPDIR": str(temporary), "HOME": str(home)}),
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stderr
    for number, step in enumerate(STEPS, 1):
        assert f"\n{number}. {step}\n" in lines
        assert re.search(rf"^  {number}\. {re.escape(step)} +\d+\.\d s$", lines, re.MULTILINE)
    assert re.search(r"\d+ passed", lines)
    assert "the same bytes" in lines
    assert re.search(r"^   all (\d+) lines arrived, each the same as in", lines, re.MULTILINE)
    assert re.search(r"GET +/products +200  \d", lines)
    assert f"there is no {missing} in function.zip" in lines
    assert "Traceback" not in lines
    # All that stays is where the temporary folders of later verbs will be, and its lock.
    assert [path.name for path in temporary.rglob("*") if path.is_file()] == [".lock"]
    assert processes_of(temporary) == []
