"""The last build, and which package a verb takes: the named one, else the last build's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePath

from ..core.errors import PipelineError
from ..core.manifest import value_of
from ..core.names import package_version_problem
from ..edge.files import read_json, write_json
from ..edge.git import Git
from ..package.inputs import Inputs
from ..project.buildserver import BuildServer
from ..project.project import Project
from ..project.worktree import WorkTree

OUTPUT = "build-output"
LATEST_NAME = "latest.json"


@dataclass(frozen=True)
class Latest:
    """The last build: its version, its package relative to the repository, and what it was made of.

    `inputs` is the digest of everything that went in; `verified` says whether the package was
    rebuilt from its commit with the same bytes, and `why_not` if it was not.
    `tested` is False for a package that was made without running the tests.
    """

    version: str
    package: str
    package_sha256: str
    inputs: str
    dirty: bool | None
    tested: bool
    verified: bool
    why_not: str = ""

    @classmethod
    def from_document(cls, document: object) -> Latest | None:
        """Return the value of a document read from disk, or None when it is not valid.

        A package outside the repository is not valid.
        """
        try:
            latest: Latest = value_of(cls, document)
        except TypeError:
            return None
        path = PurePath(latest.package)
        inside = not path.is_absolute() and ".." not in path.parts and "\0" not in latest.package
        return latest if inside and not package_version_problem(latest.version) else None


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
    if not named:
        then = "Run `python3 tasks.py build`, or name a .nupkg file."
        return root / _built(root, "package", then).package
    path = Path(named)
    if not path.is_file():
        raise PipelineError(
            "package",
            f"{named} is a folder" if path.is_dir() else f"{named} is not there",
            "Name a .nupkg file, or run `python3 tasks.py build`.",
        )
    return path.resolve()


def refuse_unfit(
    project: Project, where: str, environ: Mapping[str, str], *,
    verified: bool, current: bool = True,
) -> Path:  # fmt: skip
    """Return the last build's package, which has to be `verified` and `current` if they say so.

    Raises PipelineError at `where` for one that is not, or not there.
    """
    latest = _built(project.root, where, "Run `python3 tasks.py build`.")
    if current and is_stale(latest, project.root, environ):
        raise PipelineError(
            where,
            f"the files have changed since {latest.version} was built",
            "Run `python3 tasks.py build`, or name a package with --package.",
        )
    if verified and not latest.verified:
        raise PipelineError(
            where,
            f"{latest.version} is not verified: {latest.why_not}",
            "Commit and build again; or if you know what you do, run `python3 tasks.py deploy` "
            "or `python3 tasks.py release` with --allow-dirty.",
        )
    return project.root / latest.package


def _built(root: Path, where: str, then: str) -> Latest:
    latest = last_build(root)
    if latest is None:
        raise PipelineError(where, "nothing has been built here yet", then)
    return latest
