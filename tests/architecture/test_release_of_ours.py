"""The maintainers' `release`: what it commits, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError
from pipeline.core.events import Reporter

from maintain.manifest import MANIFEST, digest_of, write_manifest
from maintain.release import make_release
from tests.repositories import commit_all, git

_CHANGELOG = "# Changelog\n\n## Unreleased\n\n- New.\n\n## 0.9.1 - 2020-01-01\n\n- Old.\n"
SILENT = Reporter(emit=lambda _: None)


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """Return a template repository whose last releases were 0.9.1 and, before it, 0.10.0."""
    (tmp_path / "template" / "scripts").mkdir(parents=True)
    (tmp_path / "template" / "scripts" / "bootstrap.py").write_text("# ours\n", encoding="utf-8")
    (tmp_path / "CHANGELOG.md").write_text(_CHANGELOG, encoding="utf-8")
    write_manifest(tmp_path)
    git(tmp_path, "init", "--quiet")
    for subject in ("Release v0.10.0", "Release v0.9.1", "Speak of Release v7.0.0", "Work"):
        commit_all(tmp_path, subject)
    return tmp_path


def test_a_release_is_a_commit_with_a_tag_and_the_manifests_digest(ours: Path) -> None:
    """The section is dated and begins with the digest; what was there before follows it."""
    make_release(ours, "v0.10.1", SILENT)
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


def _refused(ours: Path, version: str = "v1.0.0") -> PipelineError:
    before = git(ours, "rev-parse", "HEAD")
    with pytest.raises(PipelineError) as refused:
        make_release(ours, version, SILENT)
    assert git(ours, "rev-parse", "HEAD") == before
    assert git(ours, "tag") == ""
    return refused.value


@pytest.mark.parametrize("version", ["1.0.0", "v1.0", "v0.10.0", "v0.9.2"])
def test_a_version_is_a_release_above_the_last(ours: Path, version: str) -> None:
    """The highest one counts, as numbers, and not the newest."""
    assert (_refused(ours, version).where, _refused(ours, version).exit_code) == ("release", 2)


def test_a_dirty_tree_is_refused(ours: Path) -> None:
    """Changed and untracked files both."""
    (ours / "new").write_text("", encoding="utf-8")
    assert _refused(ours).where == "release"


def test_a_stale_manifest_is_refused(ours: Path) -> None:
    """A commit whose manifest does not fit its files is no release."""
    (ours / "template" / "scripts" / "bootstrap.py").write_text("# new\n", encoding="utf-8")
    commit_all(ours, "Change a file of ours")
    assert _refused(ours).where == f"template/{MANIFEST}"


def test_nothing_to_release_is_refused(ours: Path) -> None:
    """An empty section tells users nothing."""
    (ours / "CHANGELOG.md").write_text(_CHANGELOG.replace("- New.\n\n", ""), encoding="utf-8")
    commit_all(ours, "Say nothing")
    assert _refused(ours).where == "CHANGELOG.md"
