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
from collections.abc import Iterator, Sequence
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
    with _opened(source, label) as zipped:
        return Archive(label, source, zipped.entries(limits))


def read_member(archive: Archive, entry: Entry) -> bytes:
    """Inflate one file; raises PipelineError where size or checksum is not as announced."""
    with _opened(archive.source, archive.where) as zipped:
        return b"".join(zipped.plain(entry))


def check_members(archive: Archive) -> None:
    """Inflate all files as `read_member` does, but keep nothing, so that size does not matter."""
    with _opened(archive.source, archive.where) as zipped:
        for entry in archive.entries:
            for _ in zipped.plain(entry):
                pass


def members_of(archive: Archive) -> Iterator[Member]:
    """Give all files as the archive holds them, for another zip; their bytes are not checked."""
    with _opened(archive.source, archive.where) as zipped:
        for entry in archive.entries:
            data = zipped.read(entry.offset, entry.packed)
            yield Member(entry.name, entry.mode, Raw(data, entry.crc, entry.size, entry.method))


@contextmanager
def _opened(source: Path | bytes, where: str) -> Iterator[_Zip]:
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
            yield _Zip(file, where)
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


class _Zip:
    """An open zip file; `where` names it in errors, which are PipelineError."""

    def __init__(self, file: BinaryIO, where: str) -> None:
        self._file = file
        self._where = where

    def read(self, offset: int, size: int) -> bytes:
        """Read `size` bytes at `offset`."""
        self._file.seek(offset)
        data = self._file.read(size)
        if len(data) != size:
            raise self._broken(f"it ends before byte {offset + size}")
        return data

    def plain(self, entry: Entry) -> Iterator[bytes]:
        """Inflate a file piece by piece."""
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        size = crc = 0
        whole = entry.method != DEFLATED
        for start in range(0, entry.packed, _PIECE):
            piece = self.read(entry.offset + start, min(_PIECE, entry.packed - start))
            if entry.method == DEFLATED:
                try:
                    # One byte more than announced is enough to catch a size that lies.
                    piece = inflater.decompress(piece, entry.size - size + 1)
                except zlib.error as error:
                    raise self._refused(entry, "its compressed bytes are damaged") from error
                whole = inflater.eof and not inflater.unused_data
            size += len(piece)
            if size > entry.size or inflater.unused_data:
                break
            crc = zlib.crc32(piece, crc)
            yield piece
        if size != entry.size or not whole:
            raise self._refused(entry, f"it does not hold {entry.size} bytes as it says")
        if crc != entry.crc:
            raise self._refused(entry, "its checksum does not match its bytes")

    def entries(self, limits: Limits) -> tuple[Entry, ...]:
        """List the files after checking all headers; folders are left out."""
        start, directory, count = self._directory(limits)
        headers = self._headers(directory, count)
        self._check_listing([header.entry for header in headers if not header.folder], limits)
        entries = [self._placed(header) for header in headers]
        self._check_layout(headers, entries, start)
        pairs = zip(entries, headers, strict=True)
        return tuple(entry for entry, header in pairs if not header.folder)

    def _refused(self, member: Entry, what: str) -> PipelineError:
        return PipelineError(self._where, f"{quoted(member.name)}: {what}", DISTRUST)

    def _broken(self, what: str) -> PipelineError:
        return PipelineError(self._where, f"broken zip file: {what}", DISTRUST)

    def _directory(self, limits: Limits) -> tuple[int, bytes, int]:
        """Find the central directory: where it starts, its bytes, and how many entries it has."""
        size = self._file.seek(0, io.SEEK_END)
        tail_start = max(0, size - END.size - _LONGEST_COMMENT)
        tail = self.read(tail_start, size - tail_start)
        signatures = re.finditer(b"PK\5\6", tail)
        found = [match.start() for match in signatures if _ends_file(tail, match.start())]
        if not found:
            raise self._broken("there is no end record")
        # Some programs take the last one that they find, and look into the comment too.
        if len(found) > 1 or b"PK\5\6" in tail[found[0] + END.size :]:
            raise self._broken("it has two end records, and programs differ on which counts")
        fields = END.unpack_from(tail, found[0])
        _, disk, first_disk, count_here, count, length, start, _ = fields
        if count == _ZIP64_COUNT or _ZIP64_SIZE in {length, start}:
            what, then = "zip64 files are not supported", "Make it smaller than 4 GB."
            raise PipelineError(self._where, what, then)
        if disk or first_disk or count_here != count or start + length != tail_start + found[0]:
            raise self._broken("the end record does not fit the central directory")
        if count > limits.count:
            what = f"{count} entries, more than the limit of {limits.count}"
            raise PipelineError(self._where, what, DISTRUST)
        if length > _LARGEST_DIRECTORY:
            raise self._broken(f"a central directory of {length} bytes is too large")
        return start, self.read(start, length), count

    def _headers(self, directory: bytes, count: int) -> list[_Header]:
        headers: list[_Header] = []
        at = 0
        for _ in range(count):
            if at + CENTRAL.size > len(directory):
                raise self._broken("the central directory is too short")
            fields = CENTRAL.unpack_from(directory, at)
            name_size, extra_size, comment_size = fields[10:13]
            end = at + CENTRAL.size + name_size
            at = end + extra_size + comment_size
            if fields[0] != b"PK\1\2":
                raise self._broken("the central directory is damaged")
            header = self._header(fields, directory[end - name_size : end])
            self._check_extra(directory[end : end + extra_size], header)
            headers.append(header)
        if at != len(directory):
            raise self._broken("the central directory is longer than its entries")
        return headers

    def _header(self, fields: Sequence[int], raw_name: bytes) -> _Header:
        _, _, needed, flags, method, _, _, crc, packed, size, *_ = fields
        *_, disk, _, attributes, offset = fields
        name = self._decoded(raw_name, flags)
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
        entry = Entry(name, mode & 0o777 or 0o644, size, packed, crc, method, offset)
        problem = name_problem(name.removesuffix("/"))
        if problem := problem or next((text for wrong, text in checks if wrong), ""):
            raise self._refused(entry, problem)
        return _Header(entry, raw_name, flags, folder)

    def _check_extra(self, extra: bytes, header: _Header) -> None:
        """Refuse a second name, which some programs would take: Octopus's does."""
        at = 0
        while at + _FIELD.size <= len(extra):
            kind, size = _FIELD.unpack_from(extra, at)
            field = extra[at + _FIELD.size : at + _FIELD.size + size]
            at += _FIELD.size + size
            if kind == _UNICODE_PATH and field[_UNICODE_PATH_HEAD:] != header.entry.name.encode():
                raise self._refused(header.entry, "it has a second, other name")

    def _decoded(self, name: bytes, flags: int) -> str:
        # NuGet 2.8.7 on mono writes UTF-8 without saying so; the format's default is code page 437.
        for encoding in ("utf-8",) if flags & UTF8_NAME else ("utf-8", "cp437"):
            try:
                return name.decode(encoding)
            except UnicodeDecodeError:
                continue
        raise self._broken(f"the name {name[:100]!r} is not UTF-8 as announced")

    def _check_listing(self, entries: Sequence[Entry], limits: Limits) -> None:
        clash = first_clash(entry.name for entry in entries)
        if clash:
            what = f"{quoted(clash[1])}: it clashes with {quoted(clash[0])}"
            raise PipelineError(self._where, what, DISTRUST)
        for entry in entries:
            if entry.size > limits.small and entry.size > limits.ratio * entry.packed:
                what = f"{entry.size} bytes from {entry.packed} look like a zip bomb"
                raise self._refused(entry, what)
        total, packed = (sum(one.size for one in entries), sum(one.packed for one in entries))
        if total > limits.total:
            what = f"{total} bytes unpacked, more than the limit of {limits.total}"
            raise PipelineError(self._where, what, DISTRUST)
        if total > limits.small and total > limits.ratio * packed:
            what = f"{total} bytes from {packed} look like a zip bomb"
            raise PipelineError(self._where, what, DISTRUST)

    def _placed(self, header: _Header) -> Entry:
        """Compare the local header with the central one, and move the offset to the bytes."""
        entry = header.entry
        fields = LOCAL.unpack(self.read(entry.offset, LOCAL.size))
        signature, needed, flags, method, _, _, crc, packed, size, name_size, extra_size = fields
        rest = self.read(entry.offset + LOCAL.size, name_size + extra_size)
        self._check_extra(rest[name_size:], header)
        local = (crc, packed, size)
        unknown = bool(flags & _SIZES_FOLLOW) and local == (0, 0, 0)
        if (
            signature != b"PK\3\4"
            or rest[:name_size] != header.raw_name
            or method != entry.method
            or needed > _NEWEST
            or (flags ^ header.flags) & _COMPARED_FLAGS
            or not (unknown or local == (entry.crc, entry.packed, entry.size))
        ):
            what = "its local header disagrees with the central directory"
            raise self._refused(entry, what)
        return entry._replace(offset=entry.offset + LOCAL.size + name_size + extra_size)

    def _check_layout(
        self, headers: Sequence[_Header], entries: Sequence[Entry], directory: int
    ) -> None:
        """Refuse bytes that belong to two members or to none: other programs may read those."""
        spans = sorted(
            (header.entry.offset, entry.offset + entry.packed, at)
            for at, (header, entry) in enumerate(zip(headers, entries, strict=True))
        )
        starts = [*(start for start, _, _ in spans), directory]
        if starts[0]:
            raise self._broken(f"its first {starts[0]} bytes belong to no member")
        for (_, end, at), start in zip(spans, starts[1:], strict=True):
            header, gap = headers[at], start - end
            if gap < 0:
                raise self._refused(header.entry, "it overlaps what follows it")
            if gap and not self._is_descriptor(header, end, gap):
                what = f"the {gap} bytes that follow it belong to no member"
                raise self._refused(header.entry, what)

    def _is_descriptor(self, header: _Header, start: int, size: int) -> bool:
        """Tell whether what follows a member is its sizes, which streaming writers put there."""
        if not header.flags & _SIZES_FOLLOW or size > len(_DESCRIPTOR) + _SIZES.size:
            return False
        entry = header.entry
        sizes = _SIZES.pack(entry.crc, entry.packed, entry.size)
        return self.read(start, size) in (sizes, _DESCRIPTOR + sizes)


def _ends_file(tail: bytes, at: int) -> bool:
    if at + END.size > len(tail):
        return False
    comment: int = END.unpack_from(tail, at)[-1]
    return at + END.size + comment == len(tail)
