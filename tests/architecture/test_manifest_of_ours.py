"""The manifest of zone "ours": it is up to date, and one line of it speaks for all."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError

from maintain.manifest import MANIFEST, check_manifest, digest_of, manifest_text, write_manifest
from tests.architecture.library import repository_files
from tests.repositories import ROOT


def test_the_manifest_is_up_to_date() -> None:
    """It names every file of ours with its hash; `python3 tasks.py manifest` writes it."""
    check_manifest(ROOT)


def test_the_first_line_is_the_digest_of_the_others() -> None:
    """Two manifests are the same when their first lines are; sha256sum agrees with it."""
    first, below = manifest_text(ROOT).split("\n", 1)
    digest = hashlib.sha256(below.encode()).hexdigest()
    assert first == f"# sha256 {digest} of the lines below"
    assert digest_of(first) == digest


def test_the_manifest_names_what_git_has() -> None:
    """Caches and other files that tools leave are not in it; nothing of ours is missing."""
    listed = {line.split("  ")[1] for line in _lines()}
    scripts = {
        path.relative_to(ROOT / "template").as_posix()
        for path in repository_files()
        if path.is_relative_to(ROOT / "template" / "scripts")
    }
    yours = {
        "scripts/hooks_build.py",
        "scripts/hooks_deploy.py",
        "scripts/allowed-changes.toml",
        MANIFEST,
    }
    assert {name for name in listed if name.startswith("scripts/")} == scripts - yours


def test_files_of_some_answers_only_are_optional() -> None:
    """A repository without a build server's file is whole."""
    lines = [line.split("  ") for line in _lines()]
    assert [line[1] for line in lines if len(line) == 3] == [
        ".github/workflows/build.yml",
        ".gitlab-ci.yml",
        ".teamcity/settings.kts",
        "Jenkinsfile",
        "azure-pipelines.yml",
    ]
    assert all(line[1].startswith("scripts/") for line in lines if len(line) == 2)


def test_a_manifest_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    """One that is missing, and one of other bytes, is named."""
    scripts = tmp_path / "template" / "scripts"
    scripts.mkdir(parents=True)
    for change in (lambda: None, lambda: (scripts / "new.py").write_text("")):
        change()
        with pytest.raises(PipelineError) as refused:
            check_manifest(tmp_path)
        assert refused.value.where == f"template/{MANIFEST}"
        write_manifest(tmp_path)
        check_manifest(tmp_path)


def _lines() -> list[str]:
    return manifest_text(ROOT).splitlines()[1:]


def test_line_ends_do_not_matter(tmp_path: Path) -> None:
    """A checkout with Windows line ends has the same manifest."""
    scripts = tmp_path / "template" / "scripts"
    scripts.mkdir(parents=True)
    shutil.copy2(ROOT / "template" / "scripts" / "bootstrap.py", scripts)
    before = manifest_text(tmp_path)
    data = (scripts / "bootstrap.py").read_bytes()
    (scripts / "bootstrap.py").write_bytes(data.replace(b"\n", b"\r\n"))
    assert manifest_text(tmp_path) == before
    assert write_manifest(tmp_path) == 1
    assert (tmp_path / "template" / MANIFEST).read_bytes() == before.encode()
