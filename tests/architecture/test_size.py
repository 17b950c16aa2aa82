"""The limits of the house: files, functions, parameters, and the budget of what is copied."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.architecture.library import LIBRARY, Module, code_lines, deploy_half, modules
from tests.repositories import ROOT

FILE, FUNCTION, PARAMETERS = 300, 40, 5
# In statements: what a formatter breaks over lines, comments and docstrings do not count.
BUDGETS = {"local": 2_500, "octopus and feeds": 2_000, "the rest": 7_000}
DEPLOY_BUDGET = 2_500


def functions() -> Iterator[tuple[Module, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield every function of the library with its module."""
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield module, node


def statements(source: str) -> int:
    """Return the number of statements, docstrings left out."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt)]
    return sum(not _is_docstring(node) for node in nodes)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def test_no_file_is_long() -> None:
    """Every Python file that users or maintainers run fits the limit."""
    folders = (ROOT / "template" / "scripts", ROOT / "maintain", ROOT / "benchmarks")
    files = [path for folder in folders for path in folder.rglob("*.py")]
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in [*files, *ROOT.glob("*.py"), *(ROOT / "template").glob("*.py")]
    }
    assert {name: length for name, length in lengths.items() if length > FILE} == {}


def test_no_function_is_long() -> None:
    """Every function of the library fits the limit, in lines of code."""
    long = {}
    for module, node in functions():
        span = set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        if (length := len(span & code_lines(module.source))) > FUNCTION:
            long[f"{module.name}.{node.name}"] = length
    assert long == {}


def test_no_function_has_many_parameters() -> None:
    """Five at most; a verb's flags and interfaces that others define are no choice of ours."""
    many = {}
    for module, node in functions():
        lines = module.source.splitlines()
        forced = "noqa: " in lines[node.lineno - 1] and "PLR0913" in lines[node.lineno - 1]
        arguments = node.args
        names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        count = len([name for name in names if name not in ("self", "cls")])
        if count > PARAMETERS and module.part != "tasks" and not forced:
            many[f"{module.name}.{node.name}"] = count
    assert many == {}


def test_the_library_keeps_its_budget() -> None:
    """Every generated repository carries it, so each of its parts is bounded."""
    counts = dict.fromkeys(BUDGETS, 0)
    for module in modules():
        own = {"local": "local", "octopus": "octopus and feeds", "feeds": "octopus and feeds"}
        counts[own.get(module.part, "the rest")] += statements(module.source)
    assert all(counts.values())
    assert {part: count for part, count in counts.items() if count > BUDGETS[part]} == {}


def test_the_deploy_half_keeps_its_budget() -> None:
    """Every package carries it."""
    assert LIBRARY.is_dir()
    assert 0 < sum(statements(module.source) for module in deploy_half()) <= DEPLOY_BUDGET


def test_statements_are_counted_as_promised() -> None:
    """Docstrings do not count, a call over three lines counts once, what is inside counts."""
    source = '"""Doc."""\nX = f(\n    1,\n)\ndef f():\n    """Doc."""\n    return 1\n'
    assert statements(source) == 3


def test_lines_of_code_are_counted_as_promised() -> None:
    """Docstrings, comments and blank lines do not count; a text over two lines counts as two."""
    source = '"""Doc.\n\nMore.\n"""\n\n# why\nX = """a\nb"""\n\n\n'
    source += 'def f():\n    """Doc."""\n    return 1\n'
    assert code_lines(source) == {7, 8, 11, 13}
