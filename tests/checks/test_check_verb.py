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
from tests.repositories import Render
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


@pytest.fixture
def repository(render: Render, tmp_path: Path) -> Path:
    """Return a repository with an empty function that a test may change."""
    return shutil.copytree(render(**COMBINATIONS[2]), tmp_path / "repository")


# One kind in the fast suite: cfn-lint takes its time.
@pytest.mark.parametrize(
    "answers",
    [
        COMBINATIONS[0],
        *(pytest.param(answers, marks=pytest.mark.slow) for answers in COMBINATIONS[1:]),
    ],
    ids=label,
)
def test_a_fresh_repository_has_no_faults(
    render: Render, tmp_path: Path, answers: dict[str, Any]
) -> None:
    """Of each kind the function, its tests, the hooks and the stack pass."""
    root = shutil.copytree(render(**answers), tmp_path / "repository")
    assert lines_of(root) == []


def _edit(file: Path, old: str, new: str) -> int:
    """Replace a text; return the number of its line."""
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1


def test_every_fault_is_named_with_its_line(repository: Path) -> None:
    """Each check runs whatever the others have found; `--fix` mends what it can."""
    (test,) = repository.glob("tests/test_*.py")
    with test.open("a", encoding="utf-8") as file:
        file.write("import  os\n")
    stack = repository / "environment" / "stack.yaml"
    line = _edit(stack, "      MessageRetentionPeriod", "      Retention")
    shown = lines_of(repository)
    assert any("F401" in text for text in shown), shown
    assert f"    environment/stack.yaml:{line}:7" in shown
    assert "check: found something: lint, format, stack" in shown[-1]
    shown = lines_of(repository, fix=True)
    assert "check: found something: stack" in shown[-1]
    assert "import  os" not in test.read_text(encoding="utf-8")


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
