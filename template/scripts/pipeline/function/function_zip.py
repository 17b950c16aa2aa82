"""The function zip: locked dependencies, copied as one block, and the function's own files."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import PipelineError
from ..core.manifest import ZipFacts
from ..zip.writer import Listed, Member, compress, directory_of, read_directory, write_zip
from .engine import Restored, ZipFile

_EXECUTABLE, _PLAIN = 0o755, 0o644


@dataclass(frozen=True)
class FunctionZip:
    """A function zip on disk, its members that are no dependencies' in `own`.

    `changed` tells how many of all members differ from the last build's, None without one.
    """

    path: Path
    facts: ZipFacts
    own: tuple[Member, ...]
    changed: int | None


def make_function_zip(
    own: Iterable[ZipFile],
    restored: Restored,
    target: Path,
    last: Path | None = None,
) -> FunctionZip:
    """Write the function zip: the function's own files and, copied as they are, the dependencies.

    A name that a dependency has too is refused. The dependencies come first, as one block.
    """
    members = []
    for name, executable, data in own:
        if name in restored.files:
            raise PipelineError(
                f"src/{name}",
                "a dependency has a file of the same name, one would hide the other",
                "Rename the file.",
            )
        mode = _EXECUTABLE if executable else _PLAIN
        members.append(Member(name, mode, compress(data)))
    digest = write_zip(target, members, restored.block)
    listed = {one.name: Listed(one.payload.crc, one.payload.size) for one in members}
    files = {**restored.files, **listed}
    facts = ZipFacts(
        sha256=digest,
        code_sha256=base64.b64encode(bytes.fromhex(digest)).decode(),
        size=target.stat().st_size,
        unzipped_size=sum(file.size for file in files.values()),
        files=len(files),
    )
    return FunctionZip(target, facts, tuple(members), _count_changes(files, last))


def _count_changes(now: Mapping[str, Listed], last: Path | None) -> int | None:
    if last is None:
        return None
    try:
        before = read_directory(directory_of(last))
    except (OSError, struct.error, UnicodeDecodeError):
        # A damaged last build is no reason against a new one.
        return None
    return sum(now.get(name) != before.get(name) for name in now.keys() | before.keys())
