"""The repository's own files: which of them make the function, and their bytes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import PipelineError
from ..edge.git import Git

SOURCE = "src"
# Folders that tools make beside the source and no export would hold.
_MADE = (
    "__pycache__",
    ".venv",
    ".pipeline",
    "build-output",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".git",
)


@dataclass(frozen=True)
class OwnFile:
    """A file of the repository: its path relative to the root with `/`, and its mode."""

    path: str
    executable: bool


def own_files(root: Path, git: Git | None) -> tuple[OwnFile, ...]:
    """Return the repository's files: those git tracks with the index's modes, sorted by path.

    Without git every file below the root counts, but what tools make. Raises PipelineError for
    a link or a submodule below `src`, and for a tracked file that is missing on disk.
    """
    if git is None:
        return tuple(_walk(root))
    files = []
    for tracked in git.tracked():
        path = tracked.path
        if tracked.regular and (root / path).is_file():
            files.append(OwnFile(path, tracked.executable))
        elif path.startswith(f"{SOURCE}/") and tracked.regular:
            what = "git tracks it, but it is not there"
            raise PipelineError(path, what, f"git checkout -- {path}")
        elif path.startswith(f"{SOURCE}/"):
            what = "is a link or a submodule"
            raise PipelineError(path, what, "Lambda takes plain files: put a copy there.")
    return tuple(sorted(files, key=lambda file: file.path))


def function_files(files: Iterable[OwnFile], nuspec: str) -> tuple[OwnFile, ...]:
    """Return the files below `src` that go into the function zip: all but the nuspec."""
    found = tuple(
        file for file in files if file.path.startswith(f"{SOURCE}/") and file.path != nuspec
    )
    if not found:
        then = "Add the files: git add src && git commit (a new repository starts with git init)."
        raise PipelineError(SOURCE, "git tracks no file of the function", then)
    return found


@dataclass(frozen=True)
class Sources:
    """The repository's files; `committed` are those whose bytes are taken from git.

    Git calls a file unchanged whose line ends differ: that must not change a package.
    """

    root: Path
    files: tuple[OwnFile, ...]
    git: Git | None = None
    committed: frozenset[str] = frozenset()

    @classmethod
    def read(cls, root: Path, git: Git | None) -> Sources:
        """List the files; what git calls changed, by a hook too, is taken as it lies there."""
        files = own_files(root, git)
        if git is None:
            return cls(root, files)
        changed = git.status().changed
        return cls(root, files, git, frozenset(file.path for file in files).difference(changed))

    def contents(self, paths: Sequence[str]) -> dict[str, bytes]:
        """Return the bytes of files by path."""
        exported = [path for path in paths if path in self.committed]
        with tempfile.TemporaryDirectory() as scratch:
            clean = self.git.export(exported, Path(scratch)) if self.git else self.root
            return {
                path: ((clean if path in self.committed else self.root) / path).read_bytes()
                for path in paths
            }


def _walk(root: Path) -> Iterable[OwnFile]:
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if name not in _MADE)
        for name in sorted(files):
            path = Path(folder) / name
            relative = path.relative_to(root).as_posix()
            if path.is_symlink() and relative.startswith(f"{SOURCE}/"):
                what = "is a link"
                raise PipelineError(relative, what, "Lambda takes plain files: put a copy there.")
            if not path.is_symlink() and not name.endswith((".pyc", ".pyo")):
                yield OwnFile(relative, bool(path.stat().st_mode & 0o111))
