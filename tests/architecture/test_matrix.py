"""The matrix that nox runs."""

from __future__ import annotations

import json
import subprocess
import sys

from pipeline.project.runtimes import RUNTIMES

from tests.repositories import ROOT


def test_the_matrix_has_the_functions_pythons_and_nothing_else() -> None:
    """A Python that is not here is left out without a word, so a wrong one would never be seen."""
    command = [sys.executable, "-m", "nox", "--list", "--json"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    pythons = {session["python"] for session in json.loads(listed) if session["python"]}
    assert pythons == {one.version for one in RUNTIMES if one.name.startswith("python")}
