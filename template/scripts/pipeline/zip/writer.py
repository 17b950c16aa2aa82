"""Zip files whose bytes depend on nothing but the names, modes and payloads of their members.

Entries are sorted by name; dates are fixed at 1980-01-01 00:00, the earliest a zip can hold;
there are no extra fields, no data descriptors and no comments. AWS Lambda and Info-ZIP take the
modes from the upper half of the external attributes, which holds Unix modes when the creating
system is 3.

A zip may begin with all of another one that was written here: its members are then copied as one
block, records and directory alike, whatever their number.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..core.errors import PipelineError
from ..edge.files import replacing, writing
from .member_names import first_clash, name_problem

STORED = 0
DEFLATED = 8
LEVEL = 6  # libdeflate: smaller than zlib's level 6 and many times as fast; changes every zip

LOCAL = struct.Struct("<4s5H3I2H")
CENTRAL = struct.Struct("<4s6H3I5H2I")
END = struct.Struct("<4s4H2IH")
UTF8_NAME = 0x800
_LISTED = struct.Struct("<16xI4xIH16x")  # of a central record: checksum, plain size, name's size
_VERSION = 20  # 2.0: deflate and folders
_UNIX = 3
_MIDNIGHT = 0
_FIRST_DAY = (1 << 5) | 1  # 1980-01-01
_MODES = (0o644, 0o755)
_MOST_MEMBERS = 0xFFFE  # the next number up announces a zip64 file, as 0xFFFFFFFF does for sizes
_MOST_BYTES = 0xFFFFFFFE


class Raw(NamedTuple):
    """A payload as a zip holds it; `crc`, `size`, `sha256` (hex, or "") are of the plain bytes."""

    data: bytes
    crc: int
    size: int
    method: int
    sha256: str = ""


class Member(NamedTuple):
    """One file of a zip: `mode` is 0o644 or 0o755."""

    name: str
    mode: int
    payload: Raw


class Block(NamedTuple):
    """All members of a zip that was written here, as it holds them: another one may begin so."""

    records: memoryview
    directory: bytes
    members: int


class Listed(NamedTuple):
    """What a central directory says of a member's plain bytes."""

    crc: int
    size: int


NOTHING = Block(memoryview(b""), b"", 0)


def compress(data: bytes) -> Raw:
    """Deflate with libdeflate, or store what deflate does not make smaller."""
    import deflate  # noqa: PLC0415 - workers that deploy have the standard library only

    packed = bytes(deflate.deflate_compress(data, LEVEL))
    if len(packed) >= len(data):
        return store(data)
    return Raw(packed, zlib.crc32(data), len(data), DEFLATED)


def store(data: bytes, sha256: str = "") -> Raw:
    """Keep the bytes as they are."""
    return Raw(data, zlib.crc32(data), len(data), STORED, sha256)


def plain(raw: Raw) -> bytes:
    """Return the plain bytes of a payload that was made here."""
    return raw.data if raw.method == STORED else zlib.decompress(raw.data, -zlib.MAX_WBITS)


def block_of(data: bytes) -> Block:
    """Return the members of a zip that `write_zip` made."""
    _, _, _, _, count, length, start, _ = END.unpack(data[-END.size :])
    return Block(memoryview(data)[:start], data[start : start + length], count)


def directory_of(path: Path) -> bytes:
    """Return the central directory of a zip that `write_zip` made, reading nothing else."""
    with path.open("rb") as file:
        file.seek(-END.size, os.SEEK_END)
        *_, length, start, _ = END.unpack(file.read())
        file.seek(start)
        return file.read(length)


def read_directory(directory: bytes) -> dict[str, Listed]:
    """Return the members of a central directory that `write_zip` made, by name."""
    found, at = {}, 0
    while at < len(directory):
        crc, size, length = _LISTED.unpack_from(directory, at)
        at += _LISTED.size + length
        found[directory[at - length : at].decode()] = Listed(crc, size)
    return found


def write_zip(target: Path, members: Iterable[Member], begin: Block = NOTHING) -> str:
    """Write a block and, sorted by name, the members; return the SHA-256 of the zip in hex.

    `target` is replaced only once the zip is whole. Raises PipelineError for names that are
    unsafe or clash, for modes other than 0644 and 0755, for what only zip64 could hold, and when
    the file cannot be written.
    """
    ordered = sorted(members, key=lambda member: member.name)
    _check(ordered, begin, str(target))
    digest = hashlib.sha256()
    with writing(target), replacing(target) as file:
        for part in _parts(ordered, begin):
            digest.update(part)
            file.write(part)
    return digest.hexdigest()


def _check(members: Sequence[Member], begin: Block, where: str) -> None:
    for member in members:
        problem = name_problem(member.name)
        if problem:
            raise PipelineError(where, f"{member.name!r}: {problem}", "Rename the file.")
        if member.mode not in _MODES:
            what = f"{member.name}: mode {member.mode:04o} is neither 0644 nor 0755"
            raise PipelineError(where, what, "Give it one of these two.")
    clash = first_clash([*read_directory(begin.directory), *(member.name for member in members)])
    if clash:
        what = f"{clash[0]} and {clash[1]} clash where case does not count"
        raise PipelineError(where, what, "Rename or leave out one of them.")
    # Headers are counted generously: 150 bytes and twice the name for each member.
    total = len(begin.records) + len(begin.directory)
    total += sum(len(m.payload.data) + 150 + 2 * len(m.name.encode()) for m in members)
    largest = max((member.payload.size for member in members), default=0)
    count = begin.members + len(members)
    if count > _MOST_MEMBERS or max(total, largest) > _MOST_BYTES:
        raise PipelineError(
            where,
            f"{count} files and {total} bytes, the largest file {largest} bytes, "
            "are more than a plain zip holds",
            f"At most {_MOST_MEMBERS} files and 4 GB fit.",
        )


def _parts(members: Sequence[Member], begin: Block) -> Iterator[bytes | memoryview]:
    yield begin.records
    directory = [begin.directory]
    offset = len(begin.records)
    for member in members:
        name, raw = member.name.encode(), member.payload
        flags = 0 if member.name.isascii() else UTF8_NAME
        common = (
            *(_VERSION, flags, raw.method, _MIDNIGHT, _FIRST_DAY),
            *(raw.crc, len(raw.data), raw.size, len(name), 0),
        )
        yield LOCAL.pack(b"PK\3\4", *common) + name
        yield raw.data
        made_by = _UNIX << 8 | _VERSION
        attributes = (stat.S_IFREG | member.mode) << 16
        entry = CENTRAL.pack(b"PK\1\2", made_by, *common, 0, 0, 0, attributes, offset)
        directory.append(entry + name)
        offset += LOCAL.size + len(name) + len(raw.data)
    listing = b"".join(directory)
    count = begin.members + len(members)
    yield listing + END.pack(b"PK\5\6", 0, 0, count, count, len(listing), offset, 0)
