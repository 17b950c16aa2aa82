"""The repository's own files: which of them make the function, and their bytes."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import PipelineError
from ..core.text import few
from ..edge.files import refuse_mark
from ..edge.git import Git

SOURCE = "src"
# The stack that the function is in, where the repository has one.
STACK = "environment/stack.yaml"
BOOTSTRAP = "environment/bootstrap.yaml"
_BELOW = f"{SOURCE}/"
_LONGEST_MARK = 4
# Folders that tools make beside the source and no export would hold.
_MADE = (
    "__pycache__",
    ".venv",
    ".pipeline",
    "build-output",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".nox",
    ".tox",
    "node_modules",
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
        return tuple(file for path in walk(root) for file in _on_disk(root, path))
    files, gone = [], []
    for tracked in git.tracked():
        path = tracked.path
        if tracked.regular and (root / path).is_file():
            files.append(OwnFile(path, tracked.executable))
        elif path.startswith(_BELOW) and tracked.regular:
            gone.append(path)
        elif path.startswith(_BELOW):
            what = "is a link or a submodule"
            raise PipelineError(path, what, "Lambda takes plain files: put a copy there.")
    if gone:
        raise PipelineError(
            few(gone),
            "tracked by git, and not there",
            f"What was removed or renamed on purpose, tell git: git add --all {SOURCE}. "
            f"What was lost, git has: git restore {shlex.join(gone)}",
        )
    return tuple(sorted(files, key=lambda file: file.path))


def with_made(root: Path, files: tuple[OwnFile, ...], made: Iterable[str]) -> tuple[OwnFile, ...]:
    """Return the files, and those besides that a hook has `made`, which git need not know."""
    known = {file.path for file in files}
    return (*files, *(file for path in made if path not in known for file in _on_disk(root, path)))


def function_files(files: Iterable[OwnFile], nuspec: str) -> tuple[OwnFile, ...]:
    """Return the files below `src` that go into the function zip: all but the nuspec."""
    found = tuple(file for file in files if file.path.startswith(_BELOW) and file.path != nuspec)
    if not found:
        then = "Add the files: git add src && git commit (a new repository starts with git init)."
        raise PipelineError(SOURCE, "git tracks no file of the function", then)
    return found


@dataclass(frozen=True)
class Sources:
    """The repository's files; `committed` are those whose bytes are taken from git.

    `made` are the paths of those that a hook wrote, which git need not know.
    Git calls a file unchanged whose line ends differ: that must not change a package.
    """

    root: Path
    files: tuple[OwnFile, ...]
    git: Git | None = None
    committed: frozenset[str] = frozenset()
    made: tuple[str, ...] = ()

    @classmethod
    def read(cls, root: Path, git: Git | None, made: Sequence[str] = ()) -> Sources:
        """List the files; what git calls changed, by a hook too, is taken as it lies there."""
        files = own_files(root, git)
        for file in files:
            if file.path.endswith(".py"):
                with (root / file.path).open("rb") as text:
                    refuse_mark(text.read(_LONGEST_MARK), file.path, "Python", but="UTF-8")
        if git is None:
            return cls(root, files, made=tuple(made))
        committed = frozenset(file.path for file in files).difference(git.status().changed)
        return cls(root, with_made(root, files, made), git, committed, tuple(made))

    def contents(self, paths: Sequence[str]) -> dict[str, bytes]:
        """Return the bytes of files by path."""
        exported = [path for path in paths if path in self.committed]
        with tempfile.TemporaryDirectory() as scratch:
            clean = self.git.export(exported, Path(scratch)) if self.git else self.root
            return {
                path: ((clean if path in self.committed else self.root) / path).read_bytes()
                for path in paths
            }


def walk(root: Path) -> Iterator[str]:
    """Yield the paths of the files below a repository's root, but what tools make."""
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if name not in _MADE)
        for name in sorted(files):
            if not name.endswith((".pyc", ".pyo")):
                yield Path(folder, name).relative_to(root).as_posix()


def _on_disk(root: Path, path: str) -> Iterator[OwnFile]:
    """Yield the file with the disk's mode; a link is none, and refused below `src`."""
    file = root / path
    if file.is_file() and not file.is_symlink():
        yield OwnFile(path, bool(file.stat().st_mode & 0o111))
    elif file.is_symlink() and path.startswith(_BELOW):
        raise PipelineError(path, "is a link", "Lambda takes plain files: put a copy there.")
