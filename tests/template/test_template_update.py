"""Updates: what is the team's stays as it is, what is the template's arrives."""

from __future__ import annotations

import shutil
from pathlib import Path

import copier
import pytest

from tests.repositories import NEWER_THAN_ANY_RELEASE, commit_all, copy_template, git
from tests.template.answers import ANSWERS_FILE, MODULE

_NEXT = "v999.1.0"
_ADDED = "scripts/pipeline/added.py"
_SHARED_OR_OURS = (".gitignore", "scripts/bootstrap.py")
_EDITED = (".editorconfig", "README.md", "scripts/hooks_deploy.py", f"src/{MODULE}/handler.py")
_DELETED = ("CHANGELOG.md", "renovate.json", "scripts/hooks_build.py", "environment/stack.yaml")


@pytest.fixture
def template(template_clone: Path, tmp_path: Path) -> Path:
    """Return a copy of the template that a test may change, with a library of one module.

    The library's size only costs time: a copy renders it once, an update three times.
    """
    folder = shutil.copytree(template_clone, tmp_path / "the template")
    library = folder / "template" / "scripts" / "pipeline"
    shutil.rmtree(library)
    shutil.rmtree(library.with_name("docs"))
    library.mkdir()
    (library / "__init__.py").write_text('"""The library."""\n', encoding="utf-8")
    commit_all(folder, "Smaller")
    git(folder, "tag", "--force", NEWER_THAN_ANY_RELEASE)
    return folder


@pytest.fixture
def repository(template: Path, tmp_path: Path) -> Path:
    """Return a committed repository made from `template`, on a path with spaces."""
    folder = copy_template(template, tmp_path / "a repository", {"build_servers": ["teamcity"]})
    git(folder, "init", "--quiet")
    commit_all(folder, "Generated")
    return folder


def _update(repository: Path) -> None:
    copier.run_update(
        repository, defaults=True, skip_answered=True, overwrite=True, unsafe=False, quiet=True
    )


def _release(template: Path) -> None:
    """Change a file in each zone, edited or not by the team, add one of ours, and release that."""
    inside = template / "template"
    changed = [
        inside / "README.md.jinja",
        inside / ".editorconfig",
        inside / ".gitignore",
        inside / "renovate.json",
        inside / "scripts" / "bootstrap.py",
        *inside.glob("src/*/*.py*"),
        *inside.glob("src/*.nuspec.jinja"),
        *inside.glob("*/hooks_*.py"),
        *inside.glob("*/*/stack.yaml*"),
    ]
    for path in changed:
        with path.open("a", encoding="utf-8") as file:
            file.write("\n# Changed by the next release.\n")
    (inside / _ADDED).write_text('"""Added."""\n', encoding="utf-8")
    commit_all(template, "The next release")
    git(template, "tag", _NEXT)


def test_update_leaves_yours_alone(template: Path, repository: Path) -> None:
    """What the team edited, deleted, moved or added stays so; ours and shared files arrive.

    An update to the version it is already at changes nothing.
    """
    _update(repository)
    assert git(repository, "status", "--porcelain") == ""
    for name in _EDITED:
        (repository / name).write_text("# The team's own.\n", encoding="utf-8")
    for name in _DELETED:
        (repository / name).unlink()
    shutil.rmtree(repository / "tests")
    (repository / "requirements").rename(repository / "locks")
    (repository / "src" / MODULE / "more.py").write_text("MORE = 1\n", encoding="utf-8")
    commit_all(repository, "The team's work")
    before = git(repository, "ls-files").split("\n")
    _release(template)

    _update(repository)

    assert [(repository / name).read_text(encoding="utf-8") for name in _EDITED] == [
        "# The team's own.\n"
    ] * len(_EDITED)
    commit_all(repository, "Updated")
    assert sorted(git(repository, "ls-files").split("\n")) == sorted([*before, _ADDED])
    changed = git(repository, "diff", "--name-only", "HEAD^").split()
    assert changed == [ANSWERS_FILE, *_SHARED_OR_OURS, _ADDED, "src/ELB.Logs.Processor.nuspec"]


@pytest.mark.slow
def test_recopy_brings_back_what_is_missing_and_keeps_what_is_edited(repository: Path) -> None:
    """A recopy restores ours and deleted files; of the team's it overwrites nothing."""
    for name in _EDITED:
        (repository / name).write_text("# The team's own.\n", encoding="utf-8")
    (repository / "scripts" / "bootstrap.py").write_text("broken", encoding="utf-8")
    (repository / "CHANGELOG.md").unlink()
    copier.run_recopy(
        repository, defaults=True, skip_answered=True, overwrite=True, unsafe=False, quiet=True
    )
    changed = git(repository, "diff", "--name-only", "HEAD").split()
    assert changed == sorted(_EDITED)
