"""The last build, and which package a verb takes: the named one, else the last build's."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from ..core.errors import PipelineError
from ..edge.files import read_json, write_json
from ..edge.git import Git
from ..package.make import tools
from ..project.buildserver import BuildServer
from ..project.last_build import LATEST_NAME, Latest
from ..project.sources import own_files
from ..project.worktree import WorkTree

OUTPUT = "build-output"


def last_build(root: Path) -> Latest | None:
    """Return the repository's last build, or None when there is none whose package is there."""
    latest = Latest.from_document(read_json(root / OUTPUT / LATEST_NAME))
    return latest if latest and (root / latest.package).is_file() else None


def write_last_build(root: Path, latest: Latest) -> None:
    """Make this the repository's last build."""
    write_json(root / OUTPUT / LATEST_NAME, asdict(latest))


def mark_verified(root: Path, package: Path) -> None:
    """Record that a package was rebuilt with the same bytes, if it is the last build's."""
    latest = last_build(root)
    if latest and package.samefile(root / latest.package):
        write_last_build(root, replace(latest, verified=True, why_not=""))


def is_stale(latest: Latest, root: Path, environ: Mapping[str, str]) -> bool:
    """Tell whether anything a build depends on has changed since the last one."""
    git = Git.at(root)
    tree = WorkTree.read(git, BuildServer.from_environ(environ))
    return inputs_digest(root, git, tree) != latest.inputs


def inputs_digest(root: Path, git: Git | None, tree: WorkTree) -> str:
    """Return a digest of everything a build depends on but its number and the time.

    Unchanged files count by git's own hash, so that only changed ones are read.
    """
    digest = hashlib.sha256(repr((tree.source, tools(root))).encode())
    if git is None:
        read = [file.path for file in own_files(root, None)]
    else:
        # Untracked files count: tests that git does not know run as well.
        read = [*tree.changed, *tree.untracked]
        digest.update(repr(git.tracked()).encode())
    for path in read:
        digest.update(f"{path}\0".encode() + file_digest(root / path))
    return digest.hexdigest()


def file_digest(path: Path) -> bytes:
    """Return a file's SHA-256; nothing for a folder, or a file that is missing or unreadable."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return b""


def chosen_package(named: str | None, root: Path) -> Path:
    """Return the path of the named package, or of the last build's."""
    if named:
        path = Path(named)
        if not path.is_file():
            raise PipelineError(
                "package",
                f"{named} is a folder" if path.is_dir() else f"{named} is not there",
                "Name a .nupkg file, or run `python3 tasks.py build`.",
            )
        return path.resolve()
    latest = last_build(root)
    if latest is None:
        raise PipelineError(
            "package",
            "nothing has been built here yet",
            "Run `python3 tasks.py build`, or name a .nupkg file.",
        )
    return latest.package_path(root)
