"""Ordinary faults of a machine: each is named, with what to do next."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from pathlib import Path

import pytest

from tests.generated.conftest import Fresh
from tests.generated.repository import Repository, environment, set_up_child
from tests.generated.test_build import package_of
from tests.generated.test_cut_short import full_disk
from tests.generated.test_run import EVENT

SLOW_START = """\
import pathlib
import time

pathlib.Path(".pipeline", "starting").touch()
time.sleep(1)
"""


def _in_shell(repository: Repository, line: str) -> subprocess.CompletedProcess[str]:
    """Run a verb with the redirections of a shell's command line."""
    python, tasks = repository.command()
    return subprocess.run(
        ["bash", "-c", f"'{python}' '{tasks}' {line}"],
        cwd=repository.root,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_path_of_another_kind(repository: Repository) -> None:
    """A folder where a file should be is named, for people and for programs."""
    settings = repository.root / "pyproject.toml"
    settings.unlink()
    settings.mkdir()
    try:
        repository.refused(1, str(settings), "version")
    finally:
        settings.rmdir()


def test_an_answer_that_nobody_can_read(repository: Repository) -> None:
    """A verb whose answer is lost has failed; one whose output was closed was asked for none."""
    full = _in_shell(repository, "version >/dev/full")
    assert (full.returncode, full.stdout) == (1, "")
    assert full.stderr.startswith("<stdout>: No space left on device\n")
    closed = _in_shell(repository, "version >&- 2>&-")
    assert closed.returncode == 0


def test_a_line_that_nobody_can_read_stops_nothing(repository: Repository) -> None:
    """Progress that cannot be shown costs neither the build nor the exit code."""
    done = _in_shell(repository, "package --json 2>/dev/full")
    assert done.returncode == 0
    assert json.loads(done.stdout)["package"] == str(package_of(repository))
    assert _in_shell(repository, "package --nonsense 2>/dev/full").returncode == 2


@pytest.mark.slow
def test_a_full_temporary_folder(repository: Repository, tmp_path: Path) -> None:
    """Where temporary files find no room `run` says what to look at."""
    big = repository.root / "src" / repository.module() / "big.bin"
    big.write_bytes(random.Random(1).randbytes(600_000))  # noqa: S311 - bytes that do not compress
    repository.commit()
    repository.must("package")
    repository.must("run", "--event", EVENT)
    with full_disk(tmp_path / "small") as set_up:
        done = subprocess.run(
            repository.command("run", "--event", EVENT),
            cwd=repository.root,
            env=environment({"TMPDIR": str(tmp_path / "small")}),
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=set_up,
        )
    assert done.returncode == 1
    assert "No space left" in done.stderr or "File too large" in done.stderr
    assert "TMPDIR" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_while_python_starts(fresh: Fresh) -> None:
    """An interrupt in the first moments waits until it can be told: 130, and no trace."""
    repository = fresh()
    repository.write("scripts/pipeline/__init__.py", SLOW_START)
    child = subprocess.Popen(
        repository.command("version", "--json"),
        cwd=repository.root,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        preexec_fn=set_up_child,  # noqa: PLW1509 - no thread of ours runs here
    )
    while not (repository.root / ".pipeline" / "starting").exists():
        assert child.poll() is None
    os.killpg(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=120)
    assert child.returncode == 130, err
    assert "Traceback" not in err
    assert json.loads(out)["error"]["what"] == "interrupted"


def test_ctrl_c_in_the_bootstrap(fresh: Fresh, tmp_path: Path) -> None:
    """Before there is a child, an interrupt ends the start without a trace as well."""
    repository = fresh()
    (tmp_path / "stub").mkdir()
    (tmp_path / "stub" / "subprocess.py").write_text("raise KeyboardInterrupt\n")
    done = repository.verb("version", extra={"PYTHONPATH": str(tmp_path / "stub")})
    assert done.code in (130, -signal.SIGINT)
    assert done.err == ""
