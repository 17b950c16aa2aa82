"""The house: imports run downwards, and what lands in the package stands alone."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter

import pipeline
import pytest
from pipeline.package.library import DEPLOY_HALF

from tests.architecture.library import LIBRARY, Module, deploy_half, modules
from tests.repositories import ROOT

# A part may import those behind it, and itself. The library's docstring has the list; `tasks`,
# which only hands on the command line, stands before it.
_LISTED = re.search(r"downwards only\):\n(.+?)\.", pipeline.__doc__ or "", re.DOTALL)
ORDER = ("tasks", *re.split(r",\s+", _LISTED[1] if _LISTED else ""))
LEVEL = {part: level for level, part in enumerate(ORDER)}


@cache
def names() -> frozenset[str]:
    """Return the names of all modules."""
    return frozenset(module.name for module in modules())


def imported(module: Module) -> Iterator[tuple[int, str]]:
    """Yield (line, name) of each module of the library that a module imports, at any depth."""
    package = module.name.split(".")
    if module.path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            target = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            for alias in node.names:
                inner = f"{target}.{alias.name}".strip(".")
                yield node.lineno, inner if inner in names() else target


def foreign(module: Module) -> Iterator[tuple[int, str]]:
    """Yield (line, top-level name) of each import of something else than the library."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.lineno, (node.module or "").split(".")[0]


def test_every_part_has_its_place() -> None:
    """The library's docstring lists all folders there are, and the page about it the same ones."""
    assert {module.part for module in modules() if module.name} == LEVEL.keys()
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert tuple(re.findall(r"^\| `(\w+)/` \|", page, re.MULTILINE)) == ORDER


def test_imports_run_downwards() -> None:
    """No module imports from a part above its own, nor from its neighbour on the same level."""
    wrong = [
        f"{module.name}:{line} imports {name}"
        for module in modules()
        if module.name
        for line, name in imported(module)
        if name.split(".")[0] != module.part and LEVEL[name.split(".")[0]] <= LEVEL[module.part]
    ]
    assert wrong == []


def test_imports_make_no_circle() -> None:
    """Within a part as well, those inside functions included."""
    graph = {module.name: {name for _, name in imported(module)} for module in modules()}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"a circle: {error.args[1]}")


def test_every_import_of_the_library_is_relative_and_real() -> None:
    """Inside the library names are relative, and lead to modules that are there."""
    for module in modules():
        assert "pipeline" not in {name for _, name in foreign(module)}, module.name
        for line, name in imported(module):
            assert name in names(), f"{module.name}:{line} imports {name}"


def test_only_the_command_line_knows_invoke_and_the_bootstrap() -> None:
    """Verbs are plain functions: the command line is one of their users."""
    wrong = [
        f"{module.name}:{line} imports {name}"
        for module in modules()
        if module.part != "cli"
        for line, name in foreign(module)
        if name in {"invoke", "bootstrap"}
    ]
    assert wrong == []


def test_the_deploy_half_stands_alone() -> None:
    """What is packed whole imports nothing of the library but itself."""
    wrong = [
        f"{module.name}:{line} imports {name}"
        for module in deploy_half()
        for line, name in imported(module)
        if name.split(".")[0] not in DEPLOY_HALF
    ]
    assert wrong == []


def test_the_deploy_half_needs_nothing_that_a_worker_lacks() -> None:
    """Besides itself: the standard library, and the AWS client that travels with it."""
    allowed = sys.stdlib_module_names | {"boto3", "botocore"}
    wrong = [
        f"{module.name}:{line} imports {name}"
        for module in deploy_half()
        for line, name in foreign(module)
        if name not in allowed
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "source",
    ["from ..verbs import build", "def f():\n    from ..cli.argv import normalise"],
)
def test_an_import_upwards_is_seen(source: str) -> None:
    """The reading of imports finds one in a module of `project`, however deep it stands."""
    module = Module("project.x", LIBRARY / "project" / "x.py", source, ast.parse(source))
    (found,) = imported(module)
    assert LEVEL[found[1].split(".")[0]] < LEVEL["project"]


def test_an_unchanged_build_loads_nothing_that_makes_a_package() -> None:
    """`build` imports neither a language, nor the packager or its checks, before there is work."""
    say = "import sys, pipeline.verbs.build; print(*sys.modules)"
    command = [sys.executable, "-c", say]
    scripts = {**os.environ, "PYTHONPATH": str(LIBRARY.parent)}
    done = subprocess.run(command, env=scripts, check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "pipeline.project.project" in loaded
    late = {"pipeline.function.engine", "pipeline.package.make", "pipeline.checks.preflight"}
    assert not late & loaded
