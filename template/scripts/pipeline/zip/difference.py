"""How two zips differ that should have the same bytes."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.errors import PipelineError
from .reader import FUNCTION_LIMITS, Archive, Entry, members_of, open_archive, read_member
from .writer import STORED, Raw

_Files = dict[str, tuple[Entry, Raw]]


def difference(ours: bytes, rebuilt: bytes) -> str:
    """Say how a zip differs from the one that it should be; bytes count from 0.

    Files that only one of them has come first, then contents, modes and compression, then
    the bytes around the files. A zip inside is compared too. Raises nothing: damage is described.
    """
    try:
        found = _differences(
            open_archive(ours, FUNCTION_LIMITS), open_archive(rebuilt, FUNCTION_LIMITS)
        )
        return (
            next(found, "") or f"it {_first_difference(ours, rebuilt)}, in the headers of its files"
        )
    except PipelineError as error:
        return f"{error.what}; it {_first_difference(ours, rebuilt)}"


def _differences(archive: Archive, other: Archive) -> Iterator[str]:
    here, there = _files(archive), _files(other)
    yield from (f"{name} is not in the rebuilt one" for name in sorted(here.keys() - there.keys()))
    yield from (f"{name} is only in the rebuilt one" for name in sorted(there.keys() - here.keys()))
    shared = [name for name in here if name in there and here[name] != there[name]]
    for name in shared:
        mine, theirs = _plain(archive, *here[name]), _plain(other, *there[name])
        if mine != theirs and name.endswith(".zip"):
            yield f"{name}: {difference(mine, theirs)}"
        elif mine != theirs:
            yield f"{name} {_first_difference(mine, theirs)}"
    for name in shared:
        (entry, raw), (twin, packed) = here[name], there[name]
        if entry.mode != twin.mode:
            yield f"{name} has the mode {entry.mode:04o}, the rebuilt one {twin.mode:04o}"
        if raw.data != packed.data:
            yield f"{name} holds the same bytes, compressed in another way"


def _files(archive: Archive) -> _Files:
    members = zip(archive.entries, members_of(archive), strict=True)
    return {entry.name: (entry, member.payload) for entry, member in members}


def _plain(archive: Archive, entry: Entry, raw: Raw) -> bytes:
    # The other zip's bytes are a better check than this one's own checksum.
    return raw.data if raw.method == STORED else read_member(archive, entry)


def _first_difference(one: bytes, other: bytes) -> str:
    size = min(len(one), len(other))
    # As numbers, for byte by byte takes seconds where these are large.
    bits = int.from_bytes(one[:size], "big") ^ int.from_bytes(other[:size], "big")
    return f"differs from byte {size - (bits.bit_length() + 7) // 8:,} on"
