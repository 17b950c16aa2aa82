"""The maintainers' `release`: what it commits, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError, UsageError
from pipeline.core.events import Reporter

from maintain.manifest import MANIFEST, digest_of, write_manifest
from maintain.release import check_questions, make_release, releases
from tests.repositories import ROOT, commit_all, git

_CHANGELOG = "# Changelog\n\n## Unreleased\n\n- New.\n\n## 0.9.1 - 2020-01-01\n\n- Old.\n"
_QUESTIONS = "_subdirectory: template\nteam:\n  default: us\nkind:\n  when: false\n  default: a\n"
_MODULE = "template/scripts/bootstrap.py"
SILENT = Reporter(emit=lambda _: None)


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """Return a template repository whose last releases were 0.9.1 and, before it, 0.10.0."""
    (tmp_path / "template" / "scripts").mkdir(parents=True)
    (tmp_path / _MODULE).write_text("# ours\n", encoding="utf-8")
    (tmp_path / "copier.yml").write_text(_QUESTIONS, encoding="utf-8")
    (tmp_path / "CHANGELOG.md").write_text(_CHANGELOG, encoding="utf-8")
    write_manifest(tmp_path)
    git(tmp_path, "init", "--quiet")
    for subject in ("Release v0.10.0", "Release v0.9.1", "Speak of Release v7.0.0", "Work"):
        commit_all(tmp_path, subject)
    return tmp_path


def test_a_release_is_a_commit_with_a_tag_and_the_manifests_digest(ours: Path) -> None:
    """The section is dated and begins with the digest; what was there before follows it."""
    make_release(ours, "v0.10.1", SILENT, list)
    assert (
        git(ours, "log", "-1", "--format=%s %D").strip()
        == "Release v0.10.1 HEAD -> main, tag: v0.10.1"
    )
    assert git(ours, "status", "--porcelain") == ""
    text = (ours / "CHANGELOG.md").read_text(encoding="utf-8")
    digest = digest_of((ours / "template" / MANIFEST).read_text(encoding="utf-8"))
    section = text.split("\n## ")[2].splitlines()
    assert section[0].startswith("0.10.1 - 2")
    assert section[1:] == ["", f"`{MANIFEST}`: sha256 `{digest}`", "", "- New."]
    assert text.endswith("## 0.9.1 - 2020-01-01\n\n- Old.\n")


def _suite() -> None:
    raise AssertionError("it takes minutes, and comes when all else is right")


def _refused(
    ours: Path, version: str = "v1.0.0", suite: Callable[[], None] = _suite
) -> PipelineError:
    before = git(ours, "rev-parse", "HEAD")
    with pytest.raises(PipelineError) as refused:
        make_release(ours, version, SILENT, suite)
    assert git(ours, "rev-parse", "HEAD") == before
    assert git(ours, "tag") == ""
    return refused.value


@pytest.mark.parametrize("version", ["1.0.0", "v1.0", "v0.10.0", "v0.9.2"])
def test_a_version_is_a_release_above_the_last(ours: Path, version: str) -> None:
    """The highest one counts, as numbers, and not the newest."""
    assert (_refused(ours, version).where, _refused(ours, version).exit_code) == ("release", 2)


def test_a_tag_that_is_there_is_refused_before_anything_is_written(ours: Path) -> None:
    """It may be on a branch that is not here."""
    git(ours, "tag", "v0.10.1")
    before = git(ours, "rev-parse", "HEAD")
    with pytest.raises(UsageError):
        make_release(ours, "v0.10.1", SILENT, list)
    assert git(ours, "rev-parse", "HEAD") == before
    assert git(ours, "status", "--porcelain") == ""


def test_a_dirty_tree_is_refused(ours: Path) -> None:
    """Changed and untracked files both."""
    (ours / "new").write_text("", encoding="utf-8")
    assert _refused(ours).where == "release"


def test_a_stale_manifest_is_refused(ours: Path) -> None:
    """A commit whose manifest does not fit its files is no release."""
    (ours / _MODULE).write_text("# new\n", encoding="utf-8")
    commit_all(ours, "Change a file of ours")
    assert _refused(ours).where == f"template/{MANIFEST}"


def test_nothing_to_release_is_refused(ours: Path) -> None:
    """An empty section tells users nothing."""
    (ours / "CHANGELOG.md").write_text(_CHANGELOG.replace("- New.\n\n", ""), encoding="utf-8")
    commit_all(ours, "Say nothing")
    assert _refused(ours).where == "CHANGELOG.md"


def test_what_fails_in_the_suite_is_no_release(ours: Path) -> None:
    """It runs last; what it leaves in the work tree is refused too."""

    def failing() -> None:
        raise PipelineError("test_a", "it fails", "")

    assert _refused(ours, suite=failing).where == "test_a"
    assert _refused(ours, suite=(ours / "left.txt").touch).where == "release"


@pytest.mark.parametrize(
    ("old", "new", "is_refused"),
    [
        ("  default: us\n", "  type: str\n", True),
        ("team:", "crew:", True),
        ("team:\n  default: us", "crew:\n  default: \"{{ team | default('us') }}\"", False),
        ("kind:", "sort:", False),
    ],
)
def test_every_answer_of_an_earlier_release_is_read(
    ours: Path, old: str, new: str, *, is_refused: bool
) -> None:
    """A question has a default, a renamed one reads the old name; what is never asked is free."""
    (ours / "copier.yml").write_text(_QUESTIONS.replace(old, new), encoding="utf-8")
    commit_all(ours, "Ask otherwise")
    if is_refused:
        assert _refused(ours).where == "copier.yml"
    else:
        make_release(ours, "v1.0.0", SILENT, list)


def test_our_own_questions_keep_that_rule() -> None:
    """Repositories of every release can be updated to what is here, and asked nothing."""
    check_questions(ROOT, releases(ROOT))


def test_from_1_0_on_a_file_of_ours_goes_in_a_major_release_only(ours: Path) -> None:
    """An edit of it would be lost; 0.x did that once."""

    def without(module: str) -> None:
        (ours / module).rename(ours / module.replace(".py", "_2.py"))
        write_manifest(ours)
        text = (ours / "CHANGELOG.md").read_text(encoding="utf-8")
        text = text.replace("## Unreleased\n", "## Unreleased\n\n- Moved.\n")
        (ours / "CHANGELOG.md").write_text(text, encoding="utf-8")
        commit_all(ours, "Move a module")

    without(_MODULE)
    make_release(ours, "v1.0.0", SILENT, list)
    without(_MODULE.replace(".py", "_2.py"))
    refused = []
    for version in ("v1.0.1", "v1.1.0"):
        with pytest.raises(PipelineError) as error:
            make_release(ours, version, SILENT, _suite)
        refused.append(error.value.where)
    assert refused == [f"template/{MANIFEST}"] * 2
    make_release(ours, "v2.0.0", SILENT, list)
