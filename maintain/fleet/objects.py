"""Reading git objects straight from a bare repository: nothing is checked out, nothing is run.

What is in a repository was written by others. A name that git itself refuses ends the reading of
that repository, before it could become a path on this machine.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from pipeline.core.errors import PipelineError

MOST = 8 << 20  # bytes of a blob that is kept; a larger one is data, as for doctor
_BLOCK = 1 << 20
_FOLDER, _FILES = "40000", ("100644", "100755")
_DEEPEST, _MOST_FILES = 60, 100_000


@dataclass(frozen=True)
class Entry:
    """A file of a commit: its mode as git writes it, and the id of its blob."""

    mode: str
    blob: str

    @property
    def is_regular(self) -> bool:
        """Whether it is a file, and no link or submodule."""
        return self.mode in _FILES


class MissingObjectError(PipelineError):
    """The mirror lacks an object, or holds a damaged one: it has to be made anew."""


# The entries of trees by their ids: most repositories of a fleet share most of theirs.
Trees = MutableMapping[str, tuple[tuple[str, str, str], ...]]


@dataclass
class Objects:
    """The objects of one repository, through one process; `where` is what errors name."""

    where: str
    into: IO[bytes]
    out: IO[bytes]
    trees: Trees = field(default_factory=dict)

    def find(self, name: str) -> tuple[str, str, bytes] | None:
        """Return an object's id, kind and bytes, none of a huge one; None where there is none.

        `name` is an id, or any other expression of git's, like `v1.0.0:copier.yml`.
        """
        if "\n" in name or name.startswith("-"):
            return None
        try:
            self.into.write(f"{name}\n".encode())
            self.into.flush()
            words = self.out.readline().decode("utf-8", "replace").split()
        except OSError:
            words = []
        if not words:
            raise self._lost(f"git ended at {name}")
        if len(words) != 3 or words[1] not in ("blob", "tree", "commit", "tag"):  # noqa: PLR2004
            return None
        size = int(words[2])
        data = self.out.read(size) if size <= MOST else self._skip(size)
        if self.out.read(1) != b"\n":
            raise self._lost(f"{name} is cut off")
        return words[0], words[1], data

    def read(self, name: str) -> bytes:
        """Return the bytes of an object that has to be there."""
        found = self.find(name)
        if found is None:
            raise self._lost(f"there is no {name}")
        return found[2]

    def files(self, commit: str, folder: str = "") -> dict[str, Entry]:
        """Return the files of a commit by their path, those below `folder` if there is one.

        Raises PipelineError for a tree that git would not check out.
        """
        found = self.find(f"{commit}^{{tree}}")
        if found is None:
            raise self._lost(f"there is no {commit}")
        if folder:
            found = self.find(f"{commit}:{folder}")
            if found is None or found[1] != "tree":
                return {}
        files: dict[str, Entry] = {}
        for path, entry in self._walk(found[0], "", 0):
            files[path] = entry
            if len(files) > _MOST_FILES:
                # A few small trees, each in the next one ten times, can stand for billions.
                what = f"it has more than {_MOST_FILES} files"
                raise PipelineError(self.where, what, "Look at that commit by hand.")
        return files

    def _walk(self, tree: str, start: str, depth: int) -> Iterator[tuple[str, Entry]]:
        if depth > _DEEPEST:
            raise PipelineError(self.where, f"its folders are nested {depth} deep at {start[:60]}")
        if tree not in self.trees:
            self.trees[tree] = tuple(self._entries(tree, start))
        for mode, name, blob in self.trees[tree]:
            if mode == _FOLDER:
                yield from self._walk(blob, f"{start}{name}/", depth + 1)
            else:
                yield f"{start}{name}", Entry(mode, blob)

    def _entries(self, tree: str, start: str) -> Iterator[tuple[str, str, str]]:
        data, at = self.read(tree), 0
        known: set[str] = set()
        length = len(tree) // 2
        while at < len(data):
            head = data.index(b"\0", at)
            mode, _, raw = data[at:head].partition(b" ")
            end = head + 1 + length
            name = raw.decode("utf-8", "backslashreplace")
            is_foul = name.lower() in ("", ".", "..", ".git") or {"/", os.sep} & {*name}
            if is_foul or name in known:
                what = f"it has {f'{start}{name}'!r}, which git does not check out"
                raise PipelineError(self.where, what, "Look at that commit by hand.")
            known.add(name)
            yield mode.decode("ascii", "replace"), name, data[head + 1 : end].hex()
            at = end

    def _skip(self, size: int) -> bytes:
        while size > 0:
            block = self.out.read(min(size, _BLOCK))
            if not block:
                break
            size -= len(block)
        return b""

    def _lost(self, what: str) -> MissingObjectError:
        return MissingObjectError(self.where, f"its mirror is damaged: {what}", "Run it again.")


@contextmanager
def objects(
    path: Path, where: str, env: Mapping[str, str], trees: Trees | None = None
) -> Iterator[Objects]:
    """Open the objects of the bare repository at `path`; `trees` may be shared with others."""
    command = ["git", "-C", str(path), "cat-file", "--batch"]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=dict(env),
    )  # fmt: skip
    assert child.stdin and child.stdout  # noqa: S101, PT018 - both are pipes
    try:
        yield Objects(where, child.stdin, child.stdout, {} if trees is None else trees)
    finally:
        # It ends with its input; what it still has to say may be larger than a pipe.
        child.stdout.close()
        with suppress(BrokenPipeError):
            child.stdin.close()
        child.wait()
