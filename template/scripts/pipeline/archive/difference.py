"""What tells two zips apart that should be the same bytes: their files first, then the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..errors import PipelineError
from .zipindex import Entry
from .zipreader import FUNCTION_LIMITS, Archive, members_of, open_archive, read_member
from .zipwriter import CENTRAL, STORED, Raw

__all__ = ["difference"]

_RECORD, _END = b"PK\1\2", b"PK\5\6"

_Files = dict[str, tuple[Entry, Raw]]


def difference(ours: bytes, rebuilt: bytes) -> str:
    """Say how a zip differs from the one that it should be; bytes count from 0.

    Files that only one of them has come first, then contents, modes and compression, then
    whatever bytes are left. A zip within is looked into. Raises nothing: damage is told too.
    """
    damage = ""
    entries: tuple[Entry, ...] = ()
    try:
        archive = open_archive(ours, FUNCTION_LIMITS)
        entries = archive.entries
        for found in _differences(archive, open_archive(rebuilt, FUNCTION_LIMITS)):
            return found
    except PipelineError as error:
        damage = f"{error.what}; "
    first, what = _range(ours, rebuilt)
    return f"{damage}it {what}{_place(ours, entries, first)}"


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
            yield f"{name} {_range(mine, theirs)[1]}"
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


def _range(one: bytes, other: bytes) -> tuple[int, str]:
    """Return the first byte that differs, and all of them in words."""
    size = min(len(one), len(other))
    # As numbers, for byte by byte takes seconds where these are large.
    bits = int.from_bytes(one[:size], "big") ^ int.from_bytes(other[:size], "big")
    first = size - (bits.bit_length() + 7) // 8
    if len(one) != len(other):
        sizes = f"has {len(one):,} bytes, the rebuilt one {len(other):,}"
        return first, f"{sizes}; they differ from byte {first:,} on"
    last = size - 1 - ((bits & -bits).bit_length() - 1) // 8
    bytes_ = f"byte {first:,}" if first == last else f"bytes {first:,} to {last:,}"
    return first, f"differs in {bytes_} of {size:,}"


def _place(data: bytes, entries: Sequence[Entry], at: int) -> str:
    """Say what lies at a byte of a zip with these files."""
    if not entries:
        return ""
    for entry in sorted(entries, key=lambda entry: entry.offset):
        if at < entry.offset:
            return f", in what stands before the bytes of {entry.name}"
        if at < entry.offset + entry.packed:
            return f", in the bytes of {entry.name}"
    if at >= data.rfind(_END):
        return ", in the record at its end"
    record = data.rfind(_RECORD, 0, at + len(_RECORD))
    length = CENTRAL.unpack_from(data, record)[10]
    name = data[record + CENTRAL.size :][:length].decode("utf-8", "replace")
    return f", in what its directory says of {name}"
