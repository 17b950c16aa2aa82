"""What a build depends on, but its number and the time: the repository's files, and where it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import PipelineError
from ..core.text import few
from ..edge.git import Git
from ..project.sources import own_files
from ..project.worktree import WorkTree


@dataclass(frozen=True)
class Inputs:
    """A repository as it lies there: where it is, and by path what stands for a file's content.

    `digest` is that of all of it but of `made`, the files that a hook wrote and will write again.
    """

    place: tuple[str | None, str | None]
    files: Mapping[str, str]
    made: Mapping[str, str]
    digest: str

    @classmethod
    def read(cls, root: Path, git: Git | None, tree: WorkTree, made: Iterable[str] = ()) -> Inputs:
        """Read it. Unchanged files count by their commit, so that only changed ones are read."""
        tracked = own_files(root, None) if git is None else git.tracked()
        files = {file.path: repr(file) for file in tracked}
        # Untracked files count: tests that git does not know run as well.
        read = (*tree.changed, *tree.untracked) if git else tuple(files)
        files |= {path: files.get(path, "") + file_digest(root / path).hex() for path in read}
        parts = (tree.source, sorted(files.items()))
        return cls(
            (tree.source.commit, tree.source.branch),
            files,
            {path: file_digest(root / path).hex() for path in made},
            hashlib.sha256(repr(parts).encode()).hexdigest(),
        )

    def refuse_changes(self, later: Inputs, paths: Iterable[str]) -> None:
        """Raise PipelineError if the commit or one of these files is another one later."""
        before, after = {**self.made, **self.files}, {**later.made, **later.files}
        changed = [path for path in paths if before.get(path) != after.get(path)]
        if later.place != self.place:
            raise PipelineError(
                "git",
                "another commit or branch was checked out, or a commit made, during the build",
                _AGAIN,
            )
        if changed:
            what = "saved during the build, which may have read the old and the new"
            raise PipelineError(few(changed), what, _AGAIN)


_AGAIN = "Nothing was written to build-output. Build again."


def file_digest(path: Path) -> bytes:
    """Return a file's SHA-256; nothing for a folder, or a file that is missing or unreadable."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return b""
