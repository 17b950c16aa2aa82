"""Reading the files of a zip that anybody may have made: inflated within bounds, or as they are."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from ..core.errors import PipelineError
from .index import Entry, Limits, exactly, list_entries, refused
from .writer import DEFLATED, Member, Raw

DEFAULT_LIMITS = Limits()
# A function may hold tables of zeros: its size alone is bounded, for no deflate gains more.
FUNCTION_LIMITS = Limits(count=0xFFFE, ratio=1032)
# What was written here claims nothing; whether Lambda takes that much is said elsewhere.
OUR_LIMITS = replace(FUNCTION_LIMITS, total=1 << 48)
_PIECE = 1 << 13  # packed bytes inflated at a time; a thousand times as many may come out


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
        return Archive(label, source, list_entries(file, limits, label))


def read_member(archive: Archive, entry: Entry) -> bytes:
    """Inflate one file; raises PipelineError where size or checksum is not as announced."""
    return b"".join(_pieces(archive, [entry]))


def check_members(archive: Archive) -> None:
    """Inflate all files as `read_member` does, but keep nothing: whatever their size."""
    for _ in _pieces(archive, archive.entries):
        pass


def members_of(archive: Archive) -> Iterator[Member]:
    """Give all files as the archive holds them, for another zip; their bytes are not checked."""
    with _opened(archive.source, archive.where) as file:
        for entry in archive.entries:
            data = exactly(file, entry.offset, entry.packed, archive.where)
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
        piece = exactly(file, entry.offset + start, packed, where)
        if entry.method == DEFLATED:
            try:
                # One byte more than announced is enough to catch a size that lies.
                piece = inflater.decompress(piece, entry.size - size + 1)
            except zlib.error as error:
                raise refused(where, entry.name, "its compressed bytes are damaged") from error
            whole = inflater.eof and not inflater.unused_data
        size += len(piece)
        if size > entry.size or inflater.unused_data:
            break
        crc = zlib.crc32(piece, crc)
        yield piece
    if size != entry.size or not whole:
        raise refused(where, entry.name, f"it does not hold {entry.size} bytes as it says")
    if crc != entry.crc:
        raise refused(where, entry.name, "its checksum does not match its bytes")


@contextmanager
def _opened(source: Path | bytes, where: str) -> Iterator[BinaryIO]:
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
            yield file
    except OSError as error:
        raise PipelineError(where, f"could not be read: {error.strerror or error}") from error
