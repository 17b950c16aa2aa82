"""The house: imports run downwards, and what lands in the package stands alone."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

import pytest
from pipeline.package.library import DEPLOY_HALF

from tests.architecture.library import LIBRARY, Module, deploy_half, modules

# A part may import those behind it, and itself.
ORDER = (
    "tasks", "cli", "verbs", "checks", "feeds", "package", "function", "local", "runtime", "stack",
    "octopus", "project", "report", "zip", "edge", "deploy", "core",
)  # fmt: skip
LEVEL = {part: level for level, part in enumerate(ORDER)}
NAMES = {module.name for module in modules()}


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
                yield node.lineno, inner if inner in NAMES else target


def foreign(module: Module) -> Iterator[tuple[int, str]]:
    """Yield (line, top-level name) of each import of something else than the library."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.lineno, (node.module or "").split(".")[0]


def test_every_part_has_its_place() -> None:
    """A new folder or module at the top has to be put in the order first."""
    assert {module.part for module in modules() if module.name} <= LEVEL.keys()


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
            assert name in NAMES, f"{module.name}:{line} imports {name}"


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


def test_the_deploy_half_does_not_know_the_embedded_aws() -> None:
    """`local` is neither a name nor a text in it: endpoint and credentials arrive as values."""
    found = [
        f"{module.name}:{getattr(node, 'lineno', 0)}"
        for module in deploy_half()
        for node in ast.walk(module.tree)
        for text in _words(node)
        if text.lower().strip("_") == "local" or text.lower().startswith("local_")
    ]
    assert found == []


def _words(node: ast.AST) -> Iterator[str]:
    for value in vars(node).values():
        if isinstance(value, str):
            yield value


@pytest.mark.parametrize(
    "source",
    ["from ..verbs import build", "def f():\n    from ..cli.argv import normalise"],
)
def test_an_import_upwards_is_seen(source: str) -> None:
    """The reading of imports finds one in a module of `project`, however deep it stands."""
    module = Module("project.x", LIBRARY / "project" / "x.py", source, ast.parse(source))
    (found,) = imported(module)
    assert LEVEL[found[1].split(".")[0]] < LEVEL["project"]
