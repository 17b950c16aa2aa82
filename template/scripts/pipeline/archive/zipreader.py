"""Reading the files of a zip that anybody may have made: inflated within bounds, or as they are."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import PipelineError
from .zipindex import Entry, Limits, exactly, list_entries, refused
from .zipwriter import DEFLATED, Member, Raw

__all__ = [
    "DEFAULT_LIMITS",
    "Archive",
    "Entry",
    "Limits",
    "members_of",
    "open_archive",
    "raw_member",
    "raw_members",
    "read_member",
]

DEFAULT_LIMITS = Limits()


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
    try:
        with _opened(source) as file:
            return Archive(label, source, list_entries(file, limits, label))
    except OSError as error:
        raise _unreadable(label, error) from error


def read_member(archive: Archive, entry: Entry) -> bytes:
    """Inflate one file; raises PipelineError where size or checksum is not as announced."""
    raw = raw_member(archive, entry)
    data, whole = raw.data, True
    if raw.method == DEFLATED:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            # One byte more than announced is enough to catch a size that lies.
            data = inflater.decompress(raw.data, raw.size + 1)
        except zlib.error as error:
            raise refused(archive.where, entry.name, "its compressed bytes are damaged") from error
        whole = inflater.eof and not inflater.unused_data
    if len(data) != raw.size or not whole:
        raise refused(archive.where, entry.name, f"it does not hold {raw.size} bytes as it says")
    if zlib.crc32(data) != raw.crc:
        raise refused(archive.where, entry.name, "its checksum does not match its bytes")
    return data


def raw_member(archive: Archive, entry: Entry) -> Raw:
    """Give one file as the archive holds it, for copying; its bytes are not checked."""
    return next(raw_members(archive, [entry]))


def raw_members(archive: Archive, entries: Iterable[Entry]) -> Iterator[Raw]:
    """Give several files as the archive holds them, opening it once."""
    try:
        with _opened(archive.source) as file:
            for entry in entries:
                data = exactly(file, entry.offset, entry.packed, archive.where)
                yield Raw(data, entry.crc, entry.size, entry.method)
    except OSError as error:
        raise _unreadable(archive.where, error) from error


def members_of(archive: Archive) -> Iterator[Member]:
    """Give all files as the archive holds them, for another zip."""
    for entry, raw in zip(archive.entries, raw_members(archive, archive.entries), strict=True):
        yield Member(entry.name, entry.mode, raw)


def _opened(source: Path | bytes) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def _unreadable(where: str, error: OSError) -> PipelineError:
    return PipelineError(where, f"could not be read: {error.strerror or error}")
