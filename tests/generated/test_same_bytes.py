"""The promise: one commit, the same bytes, wherever and however it is built."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pipeline.edge.pythons import find_python

from tests.generated.repository import PYTHON, Repository, environment
from tests.repositories import Render, git
from tests.tools import python_of


@dataclass(frozen=True)
class Machine:
    """A machine a commit may be built on; its Python is another one where there is one.

    Where CI runs, there has to be.
    """

    python: str
    folder: str
    umask: int
    extra: dict[str, str] = field(default_factory=dict)


MACHINES = (
    Machine("3.11", "here", 0o022),
    Machine(
        "3.12",
        "another place, ünïcode",
        0o077,
        {"TZ": "Asia/Tokyo", "LANG": "tr_TR.UTF-8", "UV_LINK_MODE": "symlink"},
    ),
    Machine("3.13", "third", 0o002, {"TZ": "America/St_Johns", "LC_ALL": "C", "PYTHONUTF8": "0"}),
)


@pytest.fixture(scope="module")
def origin(render: Render, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Return a committed repository with dependencies, a program and a text with accents."""
    folder = tmp_path_factory.mktemp("origin") / "origin"
    shutil.copytree(render(function_kind="s3-event", package_id="S3.Processor"), folder)
    made = Repository(folder)
    made.write(f"src/{made.module()}/tool.sh", "#!/bin/sh\necho Zürich\n")
    (folder / "src" / made.module() / "tool.sh").chmod(0o755)
    made.write("src/größe.txt", "42\n")
    made.start_here()
    return made


def built(origin: Repository, machine: Machine, folder: Path, verb: str) -> dict[str, bytes]:
    """Clone the origin as that machine would, build it there, and return the build's files."""
    if os.environ.get("TESTS_REQUIRE_TOOLS"):
        python = python_of(machine.python)
    else:
        python = find_python(machine.python, os.environ) or PYTHON
    previous = os.umask(machine.umask)
    try:
        root = folder / machine.folder
        git(folder, "clone", "--quiet", str(origin.root), str(root))
        done = subprocess.run(
            [python, "tasks.py", verb, "--build-number", "7"],
            cwd=root,
            env=environment(machine.extra),
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
    finally:
        os.umask(previous)
    assert done.returncode == 0, done.stderr
    found = (root / "build-output" / "1.0.7").iterdir()
    return {path.name: path.read_bytes() for path in found if path.name != "tests.xml"}


@pytest.mark.slow
def test_the_same_commit_gives_the_same_bytes(origin: Repository, tmp_path: Path) -> None:
    """Clones in other places, by other Pythons, zones, locales and umasks agree on every byte.

    The first is a whole build, which verifies itself; the others only package.
    """
    first = built(origin, MACHINES[0], tmp_path, "build")
    assert {name for name in first if name.endswith(".nupkg")} == {"S3.Processor.1.0.7.nupkg"}
    for machine in MACHINES[1:]:
        other = built(origin, machine, tmp_path, "package")
        assert other.keys() == first.keys()
        assert [name for name in first if first[name] != other[name]] == [], machine
