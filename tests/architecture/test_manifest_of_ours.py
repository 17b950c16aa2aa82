"""The manifest of zone "ours": it is up to date, and doctor can trust it."""

from __future__ import annotations

import shutil
from pathlib import Path

from maintain.manifest import MANIFEST, manifest_text, write_manifest
from tests.architecture.library import repository_files
from tests.repositories import ROOT


def test_the_manifest_is_up_to_date() -> None:
    """It names every file of ours with its hash; `python3 tasks.py manifest` writes it."""
    assert (ROOT / "template" / MANIFEST).read_text(encoding="utf-8") == manifest_text(ROOT)


def test_the_manifest_names_what_git_has() -> None:
    """Caches and other files that tools leave are not in it; nothing of ours is missing."""
    listed = {line.split("  ")[1] for line in manifest_text(ROOT).splitlines()}
    scripts = {
        path.relative_to(ROOT / "template").as_posix()
        for path in repository_files()
        if path.is_relative_to(ROOT / "template" / "scripts")
    }
    yours = {"scripts/hooks_build.py", "scripts/hooks_deploy.py", MANIFEST}
    assert {name for name in listed if name.startswith("scripts/")} == scripts - yours


def test_files_of_some_answers_only_are_optional() -> None:
    """A repository without a build server's file is whole."""
    lines = [line.split("  ") for line in manifest_text(ROOT).splitlines()]
    assert [line[1] for line in lines if len(line) == 3] == [
        ".github/workflows/build.yml",
        ".gitlab-ci.yml",
        ".teamcity/settings.kts",
        "Jenkinsfile",
        "azure-pipelines.yml",
    ]
    assert all(line[1].startswith("scripts/") for line in lines if len(line) == 2)


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
