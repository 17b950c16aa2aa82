"""Zips built by hand, whose every header field can lie."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from pipeline.zip.reader import open_archive, read_member


@dataclass
class Crafted:
    """A zip member whose every header field can lie; `None` means the honest value."""

    name: bytes = b"a.txt"
    data: bytes = b"hello" * 50
    method: int = 8
    flags: int = 0
    mode: int = 0o100644
    size: int | None = None
    crc: int | None = None
    local_name: bytes | None = None
    local_size: int | None = None
    local_method: int | None = None
    offset: int | None = None
    packed: int | None = None
    payload: bytes | None = None
    local_flags: int | None = None
    disk: int = 0


def craft(*members: Crafted, tail: bytes = b"", count: int | None = None) -> bytes:
    """Build a zip by hand, with the lies the members hold."""
    body, directory = b"", b""
    for m in members:
        data = deflated(m.data) if m.method == 8 else m.data
        data = data if m.payload is None else m.payload
        flags = m.flags if m.local_flags is None else m.local_flags
        crc = zlib.crc32(m.data) if m.crc is None else m.crc
        size = len(m.data) if m.size is None else m.size
        packed = len(data) if m.packed is None else m.packed
        offset = len(body) if m.offset is None else m.offset
        name = m.name if m.local_name is None else m.local_name
        local_size = size if m.local_size is None else m.local_size
        method = m.method if m.local_method is None else m.local_method
        body += struct.pack("<4s5H3I2H", b"PK\3\4", 20, flags, method, 0, 33, crc, packed,
                            local_size, len(name), 0) + name + data  # fmt: skip
        directory += struct.pack("<4s6H3I5H2I", b"PK\1\2", 3 << 8 | 20, 20, m.flags, m.method, 0,
                                 33, crc, packed, size, len(m.name), 0, 0, m.disk, 0, m.mode << 16,
                                 offset) + m.name  # fmt: skip
    number = len(members) if count is None else count
    end = struct.pack(
        "<4s4H2IH", b"PK\5\6", 0, 0, number, number, len(directory), len(body), len(tail)
    )
    return body + directory + end + tail


def with_end(data: bytes, at: int, value: int) -> bytes:
    """Change a 16-bit field of the end record, `at` bytes into it."""
    start = data.rindex(b"PK\5\6") + at
    return data[:start] + struct.pack("<H", value) + data[start + 2 :]


def deflated(data: bytes, flush: int = zlib.Z_FINISH) -> bytes:
    """Give raw deflate bytes, ended as `flush` says."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    return squeeze.compress(data) + squeeze.flush(flush)


def moved(data: bytes, index: int, junk: bytes) -> bytes:
    """Put bytes before a member, or after the last one, with all offsets made right again."""
    offsets, directory = _offsets(data)
    return _inserted(data, sorted([*offsets.values(), directory])[index], junk)


def second_name(data: bytes, name: bytes) -> bytes:
    """Give the first member another name, in an extra field that some programs go by."""
    size = struct.unpack_from("<H", data, 26)[0]
    first = data[30 : 30 + size]
    extra = struct.pack("<2HBI", 0x7075, 5 + len(name), 1, zlib.crc32(first)) + name
    bad = _inserted(data, 30 + size, extra)
    return bad[:28] + struct.pack("<H", len(extra)) + bad[30:]


def _inserted(data: bytes, place: int, junk: bytes) -> bytes:
    offsets, directory = _offsets(data)
    bad = bytearray(data[:place] + junk + data[place:])
    for record, offset in offsets.items():
        later = offset + (len(junk) if offset >= place else 0)
        struct.pack_into("<I", bad, record + len(junk) + 42, later)
    struct.pack_into("<I", bad, bad.rindex(b"PK\5\6") + 16, directory + len(junk))
    return bytes(bad)


def _offsets(data: bytes) -> tuple[dict[int, int], int]:
    """Return each member's offset by where its record is, and where the directory starts."""
    count, _, directory = struct.unpack_from("<H2I", data, data.rindex(b"PK\5\6") + 10)
    found, at = {}, directory
    for _ in range(count):
        found[at] = struct.unpack_from("<I", data, at + 42)[0]
        at += 46 + sum(struct.unpack_from("<3H", data, at + 28))
    return found, directory


HONEST = craft(Crafted(), Crafted(b"b/c.txt", b"x", 0))


def contents(data: bytes) -> dict[str, bytes]:
    """Read all of an archive; nothing but a PipelineError comes out of it."""
    archive = open_archive(data)
    return {entry.name: read_member(archive, entry) for entry in archive.entries}
