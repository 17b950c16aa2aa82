"""The listing of a zip file that anybody may have made, trusting nothing in it.

Everything the headers claim is checked before a byte is inflated or written: the central
directory against the end record, each local header against the central one, names, kinds,
sizes, ratios and overlaps. Zip64, encryption and methods other than deflate are refused. The
format is PKWARE's APPNOTE.TXT, sections 4.3 and 4.4.
"""

from __future__ import annotations

import io
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from ..errors import PipelineError
from .names import first_clash, name_problem
from .zipwriter import CENTRAL, DEFLATED, END, LOCAL, STORED, UTF8_NAME

__all__ = ["Entry", "Limits", "exactly", "list_entries", "refused"]

_LONGEST_COMMENT = 0xFFFF
_LARGEST_DIRECTORY = 1 << 26
_ENCRYPTED = 0x2041  # traditional, strong, and masked headers
_SIZES_FOLLOW = 0x8
_COMPARED_FLAGS = _ENCRYPTED | _SIZES_FOLLOW | UTF8_NAME
_ZIP64_COUNT = 0xFFFF
_ZIP64_SIZE = 0xFFFFFFFF
_DISTRUST = "Do not use this file; have it made again by a tool you trust."


@dataclass(frozen=True)
class Limits:
    """How much an archive may hold; sizes are plain bytes, `ratio` is plain to compressed.

    The ratio counts from `small` bytes on, as little files may well shrink a thousand times.
    """

    count: int = 50_000
    total: int = 1 << 30
    ratio: int = 250
    small: int = 1 << 20


class Entry(NamedTuple):
    """A file of an archive: `mode` holds permission bits, `offset` is where its bytes begin."""

    name: str
    mode: int
    size: int
    packed: int
    crc: int
    method: int
    offset: int


@dataclass(frozen=True)
class _Header:
    """A record of the central directory; `entry.offset` still leads to the local header."""

    entry: Entry
    raw_name: bytes
    flags: int
    folder: bool


def list_entries(file: BinaryIO, limits: Limits, where: str) -> tuple[Entry, ...]:
    """List the files of an open zip file after checking all its headers; folders are left out.

    Raises PipelineError, naming the file as `where` and the member, for anything unsound.
    """
    start, directory, count = _directory(file, limits, where)
    headers = _headers(directory, count, where)
    _check_listing(headers, limits, where)
    entries = [_placed(file, header, where) for header in headers]
    _check_overlaps(headers, entries, start, where)
    return tuple(entry for entry, header in zip(entries, headers, strict=True) if not header.folder)


def refused(where: str, member: str, what: str) -> PipelineError:
    """Make the error for a member that must not be trusted."""
    return PipelineError(where, f"{member!r}: {what}", _DISTRUST)


def _broken(where: str, what: str) -> PipelineError:
    return PipelineError(where, f"broken zip file: {what}", _DISTRUST)


def exactly(file: BinaryIO, offset: int, size: int, where: str) -> bytes:
    """Read `size` bytes at `offset`; raises PipelineError when there are fewer."""
    file.seek(offset)
    data = file.read(size)
    if len(data) != size:
        raise _broken(where, f"it ends before byte {offset + size}")
    return data


def _directory(file: BinaryIO, limits: Limits, where: str) -> tuple[int, bytes, int]:
    """Find the central directory: where it starts, its bytes, and how many entries it has."""
    size = file.seek(0, io.SEEK_END)
    tail_start = max(0, size - END.size - _LONGEST_COMMENT)
    tail = exactly(file, tail_start, size - tail_start, where)
    signatures = re.finditer(b"PK\5\6", tail)
    found = [match.start() for match in signatures if _ends_file(tail, match.start())]
    if not found:
        raise _broken(where, "there is no end record")
    if len(found) > 1:
        raise _broken(where, "it has two end records, and programs differ on which counts")
    fields = END.unpack_from(tail, found[0])
    _, disk, first_disk, count_here, count, length, start, _ = fields
    if count == _ZIP64_COUNT or _ZIP64_SIZE in {length, start}:
        raise PipelineError(where, "zip64 files are not supported", "Make it smaller than 4 GB.")
    if disk or first_disk or count_here != count or start + length != tail_start + found[0]:
        raise _broken(where, "the end record does not fit the central directory")
    if count > limits.count:
        raise PipelineError(where, f"{count} entries, more than the limit of {limits.count}")
    if length > _LARGEST_DIRECTORY:
        raise _broken(where, f"a central directory of {length} bytes is no honest one")
    return start, exactly(file, start, length, where), count


def _ends_file(tail: bytes, at: int) -> bool:
    if at + END.size > len(tail):
        return False
    comment: int = END.unpack_from(tail, at)[-1]
    return at + END.size + comment == len(tail)


def _headers(directory: bytes, count: int, where: str) -> list[_Header]:
    headers: list[_Header] = []
    at = 0
    for _ in range(count):
        if at + CENTRAL.size > len(directory):
            raise _broken(where, "the central directory is too short")
        fields = CENTRAL.unpack_from(directory, at)
        name_size, extra_size, comment_size = fields[10:13]
        end = at + CENTRAL.size + name_size
        at = end + extra_size + comment_size
        if fields[0] != b"PK\1\2":
            raise _broken(where, "the central directory is damaged")
        headers.append(_header(fields, directory[end - name_size : end], where))
    if at != len(directory):
        raise _broken(where, "the central directory is longer than its entries")
    return headers


def _header(fields: Sequence[int], raw_name: bytes, where: str) -> _Header:
    _, _, _, flags, method, _, _, crc, packed, size, _, _, _, disk, _, attributes, offset = fields
    name = _decoded(raw_name, flags, where)
    mode = attributes >> 16
    kind = stat.S_IFMT(mode)
    folder = name.endswith("/")
    checks = (
        (bool(flags & _ENCRYPTED), "it is encrypted"),
        (method not in {STORED, DEFLATED}, f"its compression method {method} is unknown"),
        (_ZIP64_SIZE in {packed, size, offset}, "zip64 members are not supported"),
        (disk != 0, "it is on another disk"),
        (kind == stat.S_IFLNK, "it is a symbolic link"),
        # Not asked of folders: old Maven plug-ins give them any kind, and they are not listed.
        (not folder and kind not in {0, stat.S_IFREG}, "it is not a plain file"),
        (folder and size > 0, "it is a folder with content"),
        (method == STORED and packed != size, "its two sizes differ although it is stored"),
    )
    problem = name_problem(name.removesuffix("/"))
    problem = problem or next((text for wrong, text in checks if wrong), "")
    if problem:
        raise refused(where, name, problem)
    entry = Entry(name, mode & 0o777 or 0o644, size, packed, crc, method, offset)
    return _Header(entry, raw_name, flags, folder)


def _decoded(name: bytes, flags: int, where: str) -> str:
    # NuGet 2.8.7 on mono writes UTF-8 without saying so; the format's own default is code page 437.
    for encoding in ("utf-8",) if flags & UTF8_NAME else ("utf-8", "cp437"):
        try:
            return name.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise _broken(where, f"the name {name!r} is not UTF-8 as announced")


def _check_listing(headers: Sequence[_Header], limits: Limits, where: str) -> None:
    clash = first_clash(header.entry.name for header in headers if not header.folder)
    if clash:
        raise refused(where, clash[1], f"it clashes with {clash[0]!r}")
    total = packed = 0
    for entry in (header.entry for header in headers):
        if entry.size > limits.small and entry.size > limits.ratio * entry.packed:
            what = f"{entry.size} bytes from {entry.packed} look like a zip bomb"
            raise refused(where, entry.name, what)
        total += entry.size
        packed += entry.packed
    if total > limits.total:
        what = f"{total} bytes unpacked, more than the limit of {limits.total}"
        raise PipelineError(where, what, _DISTRUST)
    if total > limits.small and total > limits.ratio * packed:
        raise PipelineError(where, f"{total} bytes from {packed} look like a zip bomb", _DISTRUST)


def _placed(file: BinaryIO, header: _Header, where: str) -> Entry:
    """Compare the local header with the central one, and move the offset to the bytes."""
    entry = header.entry
    fields = LOCAL.unpack(exactly(file, entry.offset, LOCAL.size, where))
    signature, _, flags, method, _, _, crc, packed, size, name_size, extra_size = fields
    name = exactly(file, entry.offset + LOCAL.size, name_size, where)
    told = (crc, packed, size)
    unknown = bool(flags & _SIZES_FOLLOW) and told == (0, 0, 0)
    if (
        signature != b"PK\3\4"
        or name != header.raw_name
        or method != entry.method
        or (flags ^ header.flags) & _COMPARED_FLAGS
        or not (unknown or told == (entry.crc, entry.packed, entry.size))
    ):
        raise refused(where, entry.name, "its local header disagrees with the central directory")
    return entry._replace(offset=entry.offset + LOCAL.size + name_size + extra_size)


def _check_overlaps(
    headers: Sequence[_Header], entries: Sequence[Entry], directory: int, where: str
) -> None:
    spans = sorted(
        (header.entry.offset, entry.offset + entry.packed, entry.name)
        for header, entry in zip(headers, entries, strict=True)
    )
    ends = [*(start for start, _, _ in spans[1:]), directory]
    for (_, end, name), limit in zip(spans, ends, strict=False):
        if end > limit:
            raise refused(where, name, "it overlaps what follows it")
