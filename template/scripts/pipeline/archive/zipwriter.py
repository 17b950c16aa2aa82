"""Zip files whose bytes depend on nothing but the names, modes and payloads of their members.

Entries are sorted by name; dates are fixed at 1980-01-01 00:00, the earliest a zip can hold;
there are no extra fields, no data descriptors and no comments. AWS Lambda and Info-ZIP take the
modes from the upper half of the external attributes, which holds Unix modes when the creating
system is 3.
"""

from __future__ import annotations

import os
import stat
import struct
import tempfile
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..errors import PipelineError
from .names import first_clash, name_problem

__all__ = ["DEFLATED", "LEVEL", "STORED", "Member", "Raw", "compress", "store", "write_zip"]

STORED = 0
DEFLATED = 8
LEVEL = 6  # libdeflate: smaller than zlib's level 6 and many times as fast; changes every zip

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_VERSION = 20  # 2.0: deflate and folders
_UNIX = 3
_UTF8_NAME = 0x800
_MIDNIGHT = 0
_FIRST_DAY = (1 << 5) | 1  # 1980-01-01
_MODES = (0o644, 0o755)
_MOST_MEMBERS = 0xFFFE  # the next number up announces a zip64 file, as 0xFFFFFFFF does for sizes
_MOST_BYTES = 0xFFFFFFFE


@dataclass(frozen=True)
class Raw:
    """A payload as a zip holds it; `crc` and `size` are those of the plain bytes."""

    data: bytes
    crc: int
    size: int
    method: int


@dataclass(frozen=True)
class Member:
    """One file of a zip: `mode` is 0o644 or 0o755."""

    name: str
    mode: int
    payload: Raw


def compress(data: bytes) -> Raw:
    """Deflate with libdeflate, or store what deflate does not make smaller."""
    import deflate  # noqa: PLC0415 - workers that deploy have the standard library only

    packed = bytes(deflate.deflate_compress(data, LEVEL))
    if len(packed) >= len(data):
        return store(data)
    return Raw(packed, zlib.crc32(data), len(data), DEFLATED)


def store(data: bytes) -> Raw:
    """Keep the bytes as they are."""
    return Raw(data, zlib.crc32(data), len(data), STORED)


def write_zip(target: Path | IO[bytes], members: Iterable[Member]) -> None:
    """Write the members, sorted by name, to a path or to an open binary file.

    A path is replaced only once the zip is whole. Raises PipelineError for names that are unsafe
    or clash, for modes other than 0644 and 0755, for what only zip64 could hold, and when the
    file cannot be written.
    """
    ordered = sorted(members, key=lambda member: member.name)
    if not isinstance(target, Path):
        _check(ordered, "zip")
        _write(target, ordered)
        return
    _check(ordered, str(target))
    try:
        _write_whole(target, ordered)
    except OSError as error:
        raise PipelineError(
            str(target),
            f"could not be written: {error.strerror or error}",
            "Check the free space and the permissions of its folder.",
        ) from error


def _write_whole(target: Path, members: Sequence[Member]) -> None:
    with tempfile.NamedTemporaryFile(
        dir=target.parent, prefix=f".{target.name[:100]}.", suffix=".part", delete=False
    ) as part:
        try:
            _write(part, members)
            part.close()
            Path(part.name).chmod(0o644)
            os.replace(part.name, target)  # noqa: PTH105 - Path.replace takes the same call
        except BaseException:
            part.close()
            with suppress(OSError):
                Path(part.name).unlink()
            raise


def _check(members: Sequence[Member], where: str) -> None:
    for member in members:
        problem = name_problem(member.name)
        if problem:
            raise PipelineError(where, f"{member.name!r}: {problem}", "Rename the file.")
        if member.mode not in _MODES:
            what = f"{member.name}: mode {member.mode:04o} is neither 0644 nor 0755"
            raise PipelineError(where, what)
    clash = first_clash(member.name for member in members)
    if clash:
        what = f"{clash[0]} and {clash[1]} clash where case does not count"
        raise PipelineError(where, what, "Rename or leave out one of them.")
    # Headers are counted generously: 150 bytes and twice the name for each member.
    total = sum(len(m.payload.data) + 150 + 2 * len(m.name.encode()) for m in members)
    largest = max((member.payload.size for member in members), default=0)
    if len(members) > _MOST_MEMBERS or max(total, largest) > _MOST_BYTES:
        raise PipelineError(
            where,
            f"{len(members)} files and {total} bytes, the largest file {largest} bytes, "
            "are more than a plain zip holds",
            f"At most {_MOST_MEMBERS} files and 4 GB fit.",
        )


def _write(file: IO[bytes], members: Sequence[Member]) -> None:
    directory: list[bytes] = []
    offset = 0
    for member in members:
        name, raw = member.name.encode(), member.payload
        flags = 0 if member.name.isascii() else _UTF8_NAME
        common = (
            *(_VERSION, flags, raw.method, _MIDNIGHT, _FIRST_DAY),
            *(raw.crc, len(raw.data), raw.size, len(name), 0),
        )
        file.write(_LOCAL.pack(b"PK\3\4", *common) + name)
        file.write(raw.data)
        made_by = _UNIX << 8 | _VERSION
        attributes = (stat.S_IFREG | member.mode) << 16
        entry = _CENTRAL.pack(b"PK\1\2", made_by, *common, 0, 0, 0, attributes, offset)
        directory.append(entry + name)
        offset += _LOCAL.size + len(name) + len(raw.data)
    listing = b"".join(directory)
    count = len(members)
    file.write(listing + _END.pack(b"PK\5\6", 0, 0, count, count, len(listing), offset, 0))
