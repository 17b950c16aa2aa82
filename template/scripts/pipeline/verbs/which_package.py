"""The last build, and which package a verb takes: the named one, else the last build's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from ..core.errors import PipelineError
from ..edge.files import read_json, write_json
from ..edge.git import Git
from ..package.inputs import Inputs
from ..project.buildserver import BuildServer
from ..project.last_build import LATEST_NAME, Latest
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
    return Inputs.read(root, git, tree).digest != latest.inputs


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
