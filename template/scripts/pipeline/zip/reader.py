"""Reading a zip file that anybody may have made, trusting nothing in it.

Everything the headers claim is checked before a byte is inflated or written: the central
directory against the end record, each local header against the central one, names, kinds, sizes,
ratios, and that every byte of the file belongs to one header or one member. Zip64, encryption and
methods other than deflate are refused. The format is PKWARE's APPNOTE.TXT, sections 4.3 to 4.6.
"""

from __future__ import annotations

import io
import re
import stat
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..core.errors import PipelineError
from ..core.text import quoted
from .member_names import first_clash, name_problem
from .writer import CENTRAL, DEFLATED, END, LOCAL, STORED, UTF8_NAME, Member, Raw

_LONGEST_COMMENT = 0xFFFF
_LARGEST_DIRECTORY = 1 << 26
_ENCRYPTED = 0x2041  # traditional, strong, and masked headers
_SIZES_FOLLOW = 0x8
# What may follow the bytes of a member then: checksum and sizes, with this in front or without.
_SIZES = struct.Struct("<3I")
_DESCRIPTOR = b"PK\7\x08"
_FIELD = struct.Struct("<2H")  # in front of each extra field: its kind and size
_UNICODE_PATH = 0x7075
_UNICODE_PATH_HEAD = 5  # version and checksum, before the name
_COMPARED_FLAGS = _ENCRYPTED | _SIZES_FOLLOW | UTF8_NAME
_NEWEST = 63  # version 6.3 of the format, the last that asks readers for more
_ZIP64_COUNT = 0xFFFF
_ZIP64_SIZE = 0xFFFFFFFF
DISTRUST = "Do not use this file: build it again, or fetch it again from where it was built."
_PIECE = 1 << 13  # packed bytes inflated at a time; a thousand times as many may come out


@dataclass(frozen=True)
class Limits:
    """How much an archive may hold; sizes are plain bytes, `ratio` is plain to compressed.

    The ratio counts from `small` bytes on, as little files may well shrink a thousand times.
    """

    count: int = 50_000
    total: int = 1 << 30
    ratio: int = 250
    small: int = 1 << 20


DEFAULT_LIMITS = Limits()
# A function may hold tables of zeros: its size alone is bounded, for no deflate gains more.
FUNCTION_LIMITS = Limits(count=0xFFFE, ratio=1032)
# A zip made here is trusted; whether Lambda takes that much is checked elsewhere.
OUR_LIMITS = replace(FUNCTION_LIMITS, total=1 << 48)


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
class Archive:
    """A checked listing of files, in the order of the archive; folders are left out."""

    where: str
    source: Path | bytes
    entries: tuple[Entry, ...]


def open_archive(
    source: Path | bytes, limits: Limits = DEFAULT_LIMITS, *, where: str = ""
) -> Archive:
    """List a zip file, or the bytes of one, after checking all its headers.

    `where` names it in errors, the path does by default. Raises PipelineError, naming the
    member, for anything that is not plainly sound.
    """
    label = where or (str(source) if isinstance(source, Path) else "zip")
    with _opened(source, label) as file:
        return Archive(label, source, _entries(file, limits, label))


def read_member(archive: Archive, entry: Entry) -> bytes:
    """Inflate one file; raises PipelineError where size or checksum is not as announced."""
    return b"".join(_pieces(archive, [entry]))


def check_members(archive: Archive) -> None:
    """Inflate all files as `read_member` does, but keep nothing, so that size does not matter."""
    for _ in _pieces(archive, archive.entries):
        pass


def members_of(archive: Archive) -> Iterator[Member]:
    """Give all files as the archive holds them, for another zip; their bytes are not checked."""
    with _opened(archive.source, archive.where) as file:
        for entry in archive.entries:
            data = _exactly(file, entry.offset, entry.packed, archive.where)
            yield Member(entry.name, entry.mode, Raw(data, entry.crc, entry.size, entry.method))


def _pieces(archive: Archive, entries: Iterable[Entry]) -> Iterator[bytes]:
    with _opened(archive.source, archive.where) as file:
        for entry in entries:
            yield from _plain(file, entry, archive.where)


def _plain(file: BinaryIO, entry: Entry, where: str) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    size = crc = 0
    whole = entry.method != DEFLATED
    for start in range(0, entry.packed, _PIECE):
        packed = min(_PIECE, entry.packed - start)
        piece = _exactly(file, entry.offset + start, packed, where)
        if entry.method == DEFLATED:
            try:
                # One byte more than announced is enough to catch a size that lies.
                piece = inflater.decompress(piece, entry.size - size + 1)
            except zlib.error as error:
                raise _refused(where, entry.name, "its compressed bytes are damaged") from error
            whole = inflater.eof and not inflater.unused_data
        size += len(piece)
        if size > entry.size or inflater.unused_data:
            break
        crc = zlib.crc32(piece, crc)
        yield piece
    if size != entry.size or not whole:
        raise _refused(where, entry.name, f"it does not hold {entry.size} bytes as it says")
    if crc != entry.crc:
        raise _refused(where, entry.name, "its checksum does not match its bytes")


@contextmanager
def _opened(source: Path | bytes, where: str) -> Iterator[BinaryIO]:
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
            yield file
    except OSError as error:
        what = f"could not be read: {error.strerror or error}"
        raise PipelineError(where, what, "Look at the path, and at its permissions.") from error


@dataclass(frozen=True)
class _Header:
    """A record of the central directory; `entry.offset` still leads to the local header."""

    entry: Entry
    raw_name: bytes
    flags: int
    folder: bool


def _entries(file: BinaryIO, limits: Limits, where: str) -> tuple[Entry, ...]:
    """List the files of an open zip file after checking all its headers; folders are left out.

    Raises PipelineError, naming the file as `where` and the member, for anything unsound.
    """
    start, directory, count = _directory(file, limits, where)
    headers = _headers(directory, count, where)
    _check_listing(headers, limits, where)
    entries = [_placed(file, header, where) for header in headers]
    _check_layout(file, headers, entries, start, where)
    return tuple(entry for entry, header in zip(entries, headers, strict=True) if not header.folder)


def _refused(where: str, member: str, what: str) -> PipelineError:
    """Make the error for a member that must not be trusted."""
    return PipelineError(where, f"{quoted(member)}: {what}", DISTRUST)


def _broken(where: str, what: str) -> PipelineError:
    return PipelineError(where, f"broken zip file: {what}", DISTRUST)


def _exactly(file: BinaryIO, offset: int, size: int, where: str) -> bytes:
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
    tail = _exactly(file, tail_start, size - tail_start, where)
    signatures = re.finditer(b"PK\5\6", tail)
    found = [match.start() for match in signatures if _ends_file(tail, match.start())]
    if not found:
        raise _broken(where, "there is no end record")
    # Some programs take the last one that they find, and look into the comment too.
    if len(found) > 1 or b"PK\5\6" in tail[found[0] + END.size :]:
        raise _broken(where, "it has two end records, and programs differ on which counts")
    fields = END.unpack_from(tail, found[0])
    _, disk, first_disk, count_here, count, length, start, _ = fields
    if count == _ZIP64_COUNT or _ZIP64_SIZE in {length, start}:
        raise PipelineError(where, "zip64 files are not supported", "Make it smaller than 4 GB.")
    if disk or first_disk or count_here != count or start + length != tail_start + found[0]:
        raise _broken(where, "the end record does not fit the central directory")
    if count > limits.count:
        what = f"{count} entries, more than the limit of {limits.count}"
        raise PipelineError(where, what, DISTRUST)
    if length > _LARGEST_DIRECTORY:
        raise _broken(where, f"a central directory of {length} bytes is too large")
    return start, _exactly(file, start, length, where), count


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
        header = _header(fields, directory[end - name_size : end], where)
        _check_extra(directory[end : end + extra_size], header, where)
        headers.append(header)
    if at != len(directory):
        raise _broken(where, "the central directory is longer than its entries")
    return headers


def _header(fields: Sequence[int], raw_name: bytes, where: str) -> _Header:
    _, _, needed, flags, method, _, _, crc, packed, size, _, _, _, disk, _, attributes, offset = (
        fields
    )
    name = _decoded(raw_name, flags, where)
    mode = attributes >> 16
    kind = stat.S_IFMT(mode)
    folder = name.endswith("/")
    checks = (
        (needed > _NEWEST, "it needs a newer format than there is"),
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
        raise _refused(where, name, problem)
    entry = Entry(name, mode & 0o777 or 0o644, size, packed, crc, method, offset)
    return _Header(entry, raw_name, flags, folder)


def _check_extra(extra: bytes, header: _Header, where: str) -> None:
    """Refuse a second name, which some programs would take: Octopus's does."""
    at = 0
    while at + _FIELD.size <= len(extra):
        kind, size = _FIELD.unpack_from(extra, at)
        field = extra[at + _FIELD.size : at + _FIELD.size + size]
        at += _FIELD.size + size
        if kind == _UNICODE_PATH and field[_UNICODE_PATH_HEAD:] != header.entry.name.encode():
            raise _refused(where, header.entry.name, "it has a second, other name")


def _decoded(name: bytes, flags: int, where: str) -> str:
    # NuGet 2.8.7 on mono writes UTF-8 without saying so; the format's own default is code page 437.
    for encoding in ("utf-8",) if flags & UTF8_NAME else ("utf-8", "cp437"):
        try:
            return name.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise _broken(where, f"the name {name[:100]!r} is not UTF-8 as announced")


def _check_listing(headers: Sequence[_Header], limits: Limits, where: str) -> None:
    clash = first_clash(header.entry.name for header in headers if not header.folder)
    if clash:
        raise _refused(where, clash[1], f"it clashes with {quoted(clash[0])}")
    total = packed = 0
    for entry in (header.entry for header in headers):
        if entry.size > limits.small and entry.size > limits.ratio * entry.packed:
            what = f"{entry.size} bytes from {entry.packed} look like a zip bomb"
            raise _refused(where, entry.name, what)
        total += entry.size
        packed += entry.packed
    if total > limits.total:
        what = f"{total} bytes unpacked, more than the limit of {limits.total}"
        raise PipelineError(where, what, DISTRUST)
    if total > limits.small and total > limits.ratio * packed:
        raise PipelineError(where, f"{total} bytes from {packed} look like a zip bomb", DISTRUST)


def _placed(file: BinaryIO, header: _Header, where: str) -> Entry:
    """Compare the local header with the central one, and move the offset to the bytes."""
    entry = header.entry
    fields = LOCAL.unpack(_exactly(file, entry.offset, LOCAL.size, where))
    signature, needed, flags, method, _, _, crc, packed, size, name_size, extra_size = fields
    rest = _exactly(file, entry.offset + LOCAL.size, name_size + extra_size, where)
    name = rest[:name_size]
    _check_extra(rest[name_size:], header, where)
    local = (crc, packed, size)
    unknown = bool(flags & _SIZES_FOLLOW) and local == (0, 0, 0)
    if (
        signature != b"PK\3\4"
        or name != header.raw_name
        or method != entry.method
        or needed > _NEWEST
        or (flags ^ header.flags) & _COMPARED_FLAGS
        or not (unknown or local == (entry.crc, entry.packed, entry.size))
    ):
        raise _refused(where, entry.name, "its local header disagrees with the central directory")
    return entry._replace(offset=entry.offset + LOCAL.size + name_size + extra_size)


def _check_layout(
    file: BinaryIO, headers: Sequence[_Header], entries: Sequence[Entry], directory: int, where: str
) -> None:
    """Refuse bytes that belong to two members or to none: other programs may read those."""
    spans = sorted(
        (header.entry.offset, entry.offset + entry.packed, at)
        for at, (header, entry) in enumerate(zip(headers, entries, strict=True))
    )
    first = spans[0][0] if spans else directory
    if first:
        raise _broken(where, f"its first {first} bytes belong to no member")
    starts = [*(start for start, _, _ in spans[1:]), directory]
    # `strict` would fail for a zip without members.
    for (_, end, at), start in zip(spans, starts, strict=False):
        header, gap = headers[at], start - end
        if gap < 0:
            raise _refused(where, header.entry.name, "it overlaps what follows it")
        if gap and not _is_descriptor(file, header, end, gap, where):
            what = f"the {gap} bytes that follow it belong to no member"
            raise _refused(where, header.entry.name, what)


def _is_descriptor(file: BinaryIO, header: _Header, start: int, size: int, where: str) -> bool:
    """Tell whether the bytes after a member are its sizes, which streaming writers put there."""
    if not header.flags & _SIZES_FOLLOW or size > len(_DESCRIPTOR) + _SIZES.size:
        return False
    entry = header.entry
    sizes = _SIZES.pack(entry.crc, entry.packed, entry.size)
    return _exactly(file, start, size, where) in (sizes, _DESCRIPTOR + sizes)
