"""The load balancer log function under a plain name, and renders of all kinds."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kinds.shipping import Load
from tests.repositories import Render

_NAME = "elb_logs_under_test"


@pytest.fixture(scope="session")
def function_folder(render_function: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that holds the function's package as `elb_logs_under_test`."""
    (parse,) = render_function(function_kind="elb-logs").glob("src/*/parse.py")
    folder = tmp_path_factory.mktemp("function")
    shutil.copytree(parse.parent, folder / _NAME)
    return folder


@pytest.fixture(scope="session")
def load(function_folder: Path) -> Iterator[Load]:
    """Return a function from a module's short name to the module of the function's package."""
    sys.path.insert(0, str(function_folder))
    yield lambda name: importlib.import_module(f"{_NAME}.{name}")
    sys.path.remove(str(function_folder))


@pytest.fixture(scope="session")
def render(render_function: Render) -> Render:
    """Return a function from answers to a render without the library, which no function needs."""
    return render_function
