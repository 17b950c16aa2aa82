"""The stage before a build, and which files are its own."""

from __future__ import annotations

from pathlib import Path

from pipeline.edge.git import Git
from pipeline.package.build_hooks import before_build
from pipeline.project.project import Project

from tests.project.values_support import write_settings
from tests.repositories import commit_all, git

MADE = "src/made.txt"
HOOK = f"""\
import pathlib


def before_build(stage):
    made = pathlib.Path("{MADE}")
    if not made.exists():
        made.write_text("1")
"""


def test_what_was_made_before_is_still_the_hooks(tmp_path: Path) -> None:
    """A hook that leaves alone what is there makes the same files as in a fresh clone."""
    git(tmp_path, "init", "--quiet")
    for name, text in {"scripts/hooks_build.py": HOOK, "src/a.py": "", ".gitignore": MADE}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    project = Project.load(write_settings(tmp_path))
    commit_all(tmp_path, "A hook")

    def made() -> list[str]:
        sources = before_build(project, Git.at(tmp_path), print)
        return [file.path for file in sources.files if file.path == MADE]

    assert made() == made() == [MADE]
    (tmp_path / "scripts" / "hooks_build.py").unlink()
    (tmp_path / MADE).unlink()
    commit_all(tmp_path, "No hook any more")
    assert made() == []
