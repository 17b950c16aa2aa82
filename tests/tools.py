"""What some tests need of a machine besides Python and git."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest
from pipeline.edge.pythons import find_python


def tool(name: str, package: str = "") -> str:
    """Return the path of a program; `package` is Debian's, where its name is another one."""
    return shutil.which(name) or lacking(
        f"{name} is not on this machine: apt-get install -y {package or name}"
    )


def python_of(version: str) -> Path:
    """Return the machine's Python of `version` (`major.minor`)."""
    found = find_python(version, os.environ)
    return found or lacking(f"Python {version} is not on this machine: install it, as with pyenv")


def lacking(reason: str) -> NoReturn:
    """End the test: it has failed where CI runs, and is skipped with the reason elsewhere.

    A machine with nothing but Python and git must be able to run the tests; `.ci/run` installs
    the programs and sets TESTS_REQUIRE_TOOLS, so that nothing is ever skipped there.
    """
    if os.environ.get("TESTS_REQUIRE_TOOLS"):
        pytest.fail(reason)
    pytest.skip(reason)
