"""The load balancer log function under a plain name, and renders of all kinds."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kinds.shipping import Load
from tests.repositories import ROOT, Render, copy_template

_NAME = "elb_logs_under_test"


@pytest.fixture(scope="session")
def function_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that holds the function's package as `elb_logs_under_test`.

    Its files have no Jinja, so copying them is what rendering does.
    """
    (parse,) = (ROOT / "template" / "src").glob("*/parse.py")
    folder = tmp_path_factory.mktemp("function")
    shutil.copytree(parse.parent, folder / _NAME, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="session")
def load(function_folder: Path) -> Iterator[Load]:
    """Return a function from a module's short name to the module of the function's package."""
    sys.path.insert(0, str(function_folder))
    yield lambda name: importlib.import_module(f"{_NAME}.{name}")
    sys.path.remove(str(function_folder))


@pytest.fixture(scope="session")
def render(tmp_path_factory: pytest.TempPathFactory) -> Render:
    """Return a function from answers to a render without the library, which no function needs."""
    source = tmp_path_factory.mktemp("functions alone")
    shutil.copy2(ROOT / "copier.yml", source)
    shutil.copytree(
        ROOT / "template",
        source / "template",
        ignore=shutil.ignore_patterns("scripts", "__pycache__", ".*_cache"),
    )
    made: dict[str, Path] = {}

    def _render(**answers: Any) -> Path:
        key = repr(sorted(answers.items()))
        if key not in made:
            folder = tmp_path_factory.mktemp("a function") / "the repository"
            made[key] = copy_template(source, folder, answers)
        return made[key]

    return _render
