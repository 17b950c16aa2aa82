"""`check`: a fresh repository has no faults, and what has some is named with its line."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pipeline.core.errors import PipelineError
from pipeline.core.events import Event, Line, Reporter
from pipeline.project.project import Project
from pipeline.verbs.check import check

from tests.project.values_support import machine
from tests.repositories import ROOT, Render
from tests.template.answers import COMBINATIONS, label


def lines_of(root: Path, *, fix: bool = False) -> list[str]:
    """Run `check` with this process's tools; return the lines shown, and an error's text last."""
    shown: list[Event] = []
    here = replace(machine(root), tooling=lambda _: None)
    try:
        check(Project.load(root), here, Reporter(shown.append), fix=fix)
    except PipelineError as error:
        shown.append(Line(str(error)))
    return [event.text for event in shown if isinstance(event, Line) and not event.verbose]


def repository_of(render_function: Render, folder: Path, answers: dict[str, Any]) -> Path:
    """Make a whole repository that a test may change."""
    root = shutil.copytree(render_function(**answers), folder / "repository")
    library = ROOT / "template" / "scripts"
    ignored = shutil.ignore_patterns("__pycache__", ".*_cache")
    return shutil.copytree(library, root / "scripts", ignore=ignored).parent


@pytest.fixture
def repository(render_function: Render, tmp_path: Path) -> Path:
    """Return a repository with a queue's function that a test may change."""
    return repository_of(render_function, tmp_path, COMBINATIONS[2])


# The fast suite has one kind, which a test below mends until it is fresh: cfn-lint takes its time.
@pytest.mark.slow
@pytest.mark.parametrize("answers", COMBINATIONS, ids=label)
def test_a_fresh_repository_has_no_faults(
    render_function: Render, tmp_path: Path, answers: dict[str, Any]
) -> None:
    """Of each kind the function, its tests, the hooks and the stack pass."""
    assert lines_of(repository_of(render_function, tmp_path, answers)) == []


def contents(root: Path) -> dict[Path, bytes]:
    """Return the repository's files, without ruff's cache."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in files if ".ruff_cache" not in path.parts}


def _edit(file: Path, old: str, new: str) -> int:
    """Replace a text; return the number of its line."""
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1


def test_every_fault_is_named_with_its_line(repository: Path) -> None:
    """Each check runs whatever the others have found; `--fix` mends what it can, and no more."""
    (test,) = repository.glob("tests/test_*.py")
    stack = repository / "environment" / "stack.yaml"
    fresh = stack.read_bytes()
    files = contents(repository)
    with test.open("a", encoding="utf-8") as file:
        file.write("import  os\n")
    line = _edit(stack, "      MessageRetentionPeriod", "      Retention")
    shown = lines_of(repository)
    assert any("F401" in text for text in shown), shown
    assert f"    environment/stack.yaml:{line}:7" in shown
    assert "check: found something: lint, format, stack" in shown[-1]
    stack.write_bytes(fresh)
    assert lines_of(repository, fix=True) == []
    assert contents(repository) == files


@pytest.mark.parametrize(
    ("table", "arguments"),
    [
        ("", None),
        ("[tool.mypy]\nstrict = true\n", ("src",)),
        ('[tool.mypy]\nfiles = ["src", "tests"]\n', ()),
    ],
)
def test_types_are_checked_where_the_repository_asks(
    repository: Path, table: str, arguments: tuple[str, ...] | None
) -> None:
    """`[tool.mypy]` asks; without mypy among the locked packages of the tests, that is said."""
    with (repository / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(table)
    assert Project.load(repository).mypy == arguments
    if table:
        (shown,) = lines_of(repository)
        assert "mypy is not locked" in shown
        assert "python3 tasks.py lock" in shown
