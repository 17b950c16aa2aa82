"""The runtime that handlers are imported under: the tests' own Python, AWS's client linked in."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from pipeline.runtime.function_code import LocalRuntime

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
_CLIENT = ("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py")


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> LocalRuntime:
    """Return what stands for Lambda: a Python outside any venv, and nothing but the client."""
    folder = tmp_path_factory.mktemp("runtime client")
    for name in _CLIENT:
        found = importlib.util.find_spec(name)
        assert found is not None, name
        assert found.origin is not None
        origin = Path(found.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        (folder / source.name).symlink_to(source)
    python = Path(getattr(sys, "_base_executable", sys.executable))
    return LocalRuntime(python, folder, MINOR)
