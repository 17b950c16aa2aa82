"""What people start with `python3` must be readable by Pythons that are too old for it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repositories import ROOT

SCRIPTS = [ROOT / "tasks.py", ROOT / "template" / "tasks.py"]
# Python 2.7 and 3.5 cannot even parse a file with one of these anywhere in it.
NEWER = (ast.AnnAssign, ast.JoinedStr, ast.AsyncFunctionDef, ast.NamedExpr, ast.Match, ast.Starred)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.parent.name)
@pytest.mark.parametrize("version", ["(2, 7, 18)", "(3, 6, 15)", "(3, 10, 13)"])
def test_too_old_a_python_is_told_so(script: Path, version: str) -> None:
    """One sentence with both versions and exit code 1, before anything is imported or made."""
    pretend = f"import runpy, sys; sys.version_info = {version}; runpy.run_path({str(script)!r})"
    done = subprocess.run(
        [sys.executable, "-I", "-c", pretend], capture_output=True, text=True, check=False
    )
    major, minor, _ = ast.literal_eval(version)
    assert done.returncode == 1
    assert done.stderr == (f"tasks.py: Python 3.11 or newer is needed, this is {major}.{minor}.\n")
    assert done.stdout == ""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.parent.name)
def test_old_pythons_can_read_the_file(script: Path) -> None:
    """ASCII and old syntax all through; before the check nothing but `sys` is imported."""
    source = script.read_text(encoding="ascii")
    tree = ast.parse(source)
    newer = [f"line {node.lineno}" for node in ast.walk(tree) if isinstance(node, NEWER)]
    assert newer == []
    docstring, first, check = tree.body[:3]
    assert isinstance(docstring, ast.Expr)
    assert ast.unparse(first) == "import sys"
    assert isinstance(check, ast.If)
    assert ast.unparse(check.test) == "sys.version_info < (3, 11)"
