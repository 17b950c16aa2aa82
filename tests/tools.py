"""Programs that some tests need and Python does not bring."""

from __future__ import annotations

import os
import shutil

import pytest


def tool(name: str) -> str:
    """Return the program's path; without it the test fails where CI runs, and is skipped elsewhere.

    A machine with nothing but Python and git must be able to run the tests; `.ci/run` installs
    the programs and sets TESTS_REQUIRE_TOOLS, so that nothing is ever skipped there.
    """
    program = shutil.which(name)
    if program is None:
        missing = pytest.fail if os.environ.get("TESTS_REQUIRE_TOOLS") else pytest.skip
        missing(f"{name} is not on this machine: apt-get install -y {name}")
        raise AssertionError
    return program
