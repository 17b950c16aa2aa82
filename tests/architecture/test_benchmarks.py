"""The measurements in `benchmarks`: what CONTRIBUTING.md says of starting them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.repositories import ROOT

_SECONDS = 30  # far less than any of them measures


@pytest.mark.parametrize(
    "script", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda one: one.name
)
def test_help_says_what_it_needs(script: Path) -> None:
    """And measures nothing."""
    command = [sys.executable, str(script), "--help"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_SECONDS)
    assert done.stdout.startswith(f"usage: {script.name}")
