"""Ctrl-C while a program has this process's own terminal: it is the program's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.generated.repository import set_up_child
from tests.repositories import ROOT

# Longer than subprocess gives a program after an interrupt.
_TIDYING = """\
import pathlib, signal, sys, time
def stop(*_):
    time.sleep(0.6)
    pathlib.Path("tidied").touch()
    sys.exit(int(sys.argv[1]))
signal.signal(signal.SIGINT, stop)
print("up", flush=True)
time.sleep(30)
"""
_OURS = """\
import os, pathlib, sys
from pipeline.edge.shell import attach
try:
    sys.exit(attach([sys.executable, *sys.argv[1:]], cwd=pathlib.Path.cwd(), env=os.environ))
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize(("theirs", "ours"), [(2, 130), (0, 0)])
def test_what_is_interrupted_may_tidy_up(tmp_path: Path, theirs: int, ours: int) -> None:
    """It ends in its own time, and well if it says so."""
    child = subprocess.Popen(
        [sys.executable, "-c", _OURS, "-c", _TIDYING, str(theirs)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "template" / "scripts")},
        stdout=subprocess.PIPE,
        process_group=0,
        preexec_fn=set_up_child,  # noqa: PLW1509 - no thread of ours runs here
    )
    assert child.stdout
    with child.stdout:
        assert child.stdout.readline() == b"up\n"
        os.killpg(child.pid, signal.SIGINT)
        assert child.wait(20) == ours
    assert (tmp_path / "tidied").exists()
