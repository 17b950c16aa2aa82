"""A small repository with some history, and a package that its last commit was built into."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

from pipeline.core.manifest import Manifest, Source
from pipeline.package.nupkg import pack
from pipeline.package.nuspec import parse
from pipeline.zip.writer import store

from tests.deploy.deploy_support import function_zip, manifest
from tests.project.values_support import SETTINGS, write_settings
from tests.repositories import commit_all, git
from tests.verbs import run_verb

PASSWORD = "a-password-of-git"  # noqa: S105 - nobody's
SUBJECTS = ("First", "Second: with `quotes` and é", "Third", "Fourth")
_REMOTE = f"https://me:{PASSWORD}@git.acme.example/team/greeter.git"
_NUSPEC = (
    "<package><metadata><id>$id$</id><version>$version$</version><authors>Acme</authors>"
    "<description>Greets</description></metadata></package>"
)


def repository(folder: Path, settings: str = "") -> Path:
    """Make a repository with a commit for each of SUBJECTS; the second one is tagged v2.0."""
    folder.mkdir()
    write_settings(folder, SETTINGS + settings)
    git(folder, "init", "--quiet")
    git(folder, "remote", "add", "origin", _REMOTE)
    for number, subject in enumerate(SUBJECTS):
        (folder / "code.py").write_text(f"# {number}\n", encoding="utf-8")
        commit_all(folder, f"{subject}\n\nWith a body.")
        if number == 1:
            git(folder, "tag", "v2.0")
    return folder


def facts(root: Path, revision: str = "HEAD") -> Manifest:
    """Return the manifest of a package that was built from a commit."""
    commit = git(root, "rev-parse", revision).strip()
    return dataclasses.replace(manifest(function_zip()), source=Source(commit, "main", dirty=False))


def built(root: Path, path: Path) -> Path:
    """Write the package of the repository's last commit."""
    made = facts(root)
    text = _NUSPEC.replace("$id$", made.package_id).replace("$version$", made.version)
    files = {"build.json": made.to_json(), "function.zip": function_zip()}
    path.parent.mkdir(parents=True, exist_ok=True)
    members = {name: store(data) for name, data in files.items()}
    pack(parse(text.encode(), "test"), members, path)
    return path


def run_push(
    root: Path, *words: str, environ: dict[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run `push`, with nothing in its environment but `environ`."""
    return run_verb(root, "push", *words, environ=environ, stdin=stdin)
