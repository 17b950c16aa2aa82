"""What `python3 tasks.py test` makes of what follows: workers, but never against the debugger."""

from __future__ import annotations

import subprocess
import sys

import pytest

from maintain.verbs import pytest_command
from tests.repositories import ROOT


@pytest.mark.parametrize(
    ("typed", "workers"),
    [
        ([], True),
        (["tests/package", "-k", "glob"], True),
        (["-m", "slow"], True),
        (["--pdb", "tests/package"], False),
        (["tests/package", "--trace"], False),
        (["-s"], False),
        (["--capture=no"], False),
    ],
)
def test_what_follows_goes_to_pytest(typed: list[str], *, workers: bool) -> None:
    """Whole and last, so that it wins; a test that talks runs in the terminal's own process."""
    command = pytest_command(typed)
    assert command[len(command) - len(typed) :] == typed
    assert ("-n" in command) is workers


@pytest.mark.parametrize("typed", [["--pdb"], ["-n", "0", "--pdb"]])
def test_the_debugger_is_taken(typed: list[str]) -> None:
    """Beside workers it is refused: 4 would be wrong usage, 5 is that no test was chosen."""
    command = pytest_command([*typed, "-k", "nowhere", "tests/architecture/test_links.py"])
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=False)
    assert done.returncode == 5
