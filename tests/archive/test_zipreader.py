"""Hostile archives are refused before anything is written."""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
import zipfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline.archive.extract import extract
from pipeline.archive.zipreader import (
    FUNCTION_LIMITS,
    Limits,
    check_members,
    open_archive,
    read_member,
)
from pipeline.archive.zipwriter import Member, compress, store, write_zip
from pipeline.errors import PipelineError


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


HONEST = craft(Crafted(), Crafted(b"b/c.txt", b"x", 0))
INNER = craft(Crafted(b"b")).partition(b"PK\1\2")[0]
HOSTILE: dict[str, tuple[bytes, str]] = {
    "traversal": (craft(Crafted(b"../x")), "out of its folder"),
    "inner traversal": (craft(Crafted(b"a/../../x")), "out of its folder"),
    "absolute": (craft(Crafted(b"/etc/passwd")), "absolute"),
    "drive": (craft(Crafted(b"C:/x")), "absolute"),
    "backslash": (craft(Crafted(b"..\\x")), "backslash"),
    "NUL in the name": (craft(Crafted(b"a.txt\0.exe")), "control"),
    "empty name": (craft(Crafted(b"")), "empty"),
    "duplicate": (craft(Crafted(), Crafted()), "clashes"),
    "duplicate but for case": (craft(Crafted(), Crafted(b"A.TXT")), "clashes"),
    "file and folder": (craft(Crafted(b"a"), Crafted(b"a/b")), "clashes"),
    "symbolic link": (craft(Crafted(mode=0o120777)), "symbolic link"),
    "folder kind on a file": (craft(Crafted(mode=0o040755)), "plain file"),
    "device": (craft(Crafted(mode=0o020644)), "plain file"),
    "folder with content": (craft(Crafted(b"a/", mode=0o040755)), "folder with content"),
    "encrypted": (craft(Crafted(flags=1)), "encrypted"),
    "unknown method": (craft(Crafted(method=12)), "method 12"),
    "bad UTF-8": (craft(Crafted(b"\xff", flags=0x800)), "UTF-8"),
    "bomb by ratio": (craft(Crafted(data=bytes(3_000_000))), "bomb"),
    "bomb by sum": (
        craft(*(Crafted(b"%d" % n, bytes(1 << 20)) for n in range(9))),
        "look like a zip bomb",
    ),
    "bomb by size": (craft(Crafted(size=2 << 30, data=bytes(20_000_000))), "bomb|limit"),
    "stored with two sizes": (craft(Crafted(method=0, size=9)), "two sizes"),
    "local name differs": (craft(Crafted(local_name=b"b.txt")), "disagrees"),
    "local size differs": (craft(Crafted(local_size=9)), "disagrees"),
    "local method differs": (craft(Crafted(local_method=0)), "disagrees"),
    "one local header for two": (craft(Crafted(), Crafted(b"b", offset=0)), "disagrees"),
    "a member inside another": (
        craft(Crafted(b"a", INNER, 0), Crafted(b"b", offset=31)),
        "overlaps",
    ),
    "a member in the directory": (
        craft(Crafted(method=0, packed=251, size=251, crc=1)),
        "overlaps",
    ),
    "offset outside": (craft(Crafted(offset=1 << 20)), "ends before"),
    "local flags differ": (craft(Crafted(flags=0x800, local_flags=0)), "disagrees"),
    "another disk": (craft(Crafted(disk=1)), "another disk"),
    "end record of another disk": (with_end(HONEST, 4, 1), "does not fit"),
    "directory on another disk": (with_end(HONEST, 6, 1), "does not fit"),
    "fewer entries here": (with_end(HONEST, 8, 1), "does not fit"),
    "zip64 size": (craft(Crafted(size=0xFFFFFFFF)), "zip64"),
    "zip64 count": (craft(Crafted(), count=0xFFFF), "zip64"),
    "count too high": (craft(Crafted(), count=2), "too short"),
    "count too low": (craft(Crafted(), Crafted(b"b"), count=1), "longer"),
    "two end records": (craft(tail=craft()), "two end records"),
    "no end record": (HONEST[:-1], "no end record"),
    "cut at the front": (HONEST[7:], "does not fit"),
    "not a zip": (b"hello", "no end record"),
    "empty file": (b"", "no end record"),
}
NOT_DEFLATED = craft(Crafted(method=9, data=b"\xff" * 9)).replace(b"\t\0\0\0!\0", b"\x08\0\0\0!\0")
LYING: dict[str, tuple[bytes, str]] = {
    "says less": (craft(Crafted(size=9)), "9 bytes"),
    "says more": (craft(Crafted(size=999)), "999 bytes"),
    "bytes after the end": (
        craft(Crafted(b"a", b"x", payload=deflated(b"x") + b"junk")),
        "1 bytes",
    ),
    "bytes far after the end": (
        craft(Crafted(b"a", b"x", payload=deflated(b"x") + bytes(100_000))),
        "1 bytes",
    ),
    "stream without end": (
        craft(Crafted(b"a", b"x", payload=deflated(b"x", zlib.Z_SYNC_FLUSH))),
        "1 bytes",
    ),
    "wrong checksum": (craft(Crafted(crc=1)), "checksum"),
    "not deflated": (NOT_DEFLATED, "damaged"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_archives_are_refused(tmp_path: Path, case: str) -> None:
    """Each is refused while listing, with an error that names the file and the reason."""
    data, said = HOSTILE[case]
    path = tmp_path / "evil.zip"
    path.write_bytes(data)
    with pytest.raises(PipelineError, match=said) as caught:
        open_archive(path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("case", LYING)
def test_lying_members_are_refused_and_nothing_is_left(tmp_path: Path, case: str) -> None:
    """A size or checksum that lies is found while extracting, and the folder never appears."""
    data, said = LYING[case]
    with pytest.raises(PipelineError, match=said):
        extract(open_archive(data), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_bomb_is_not_inflated_beyond_what_it_says() -> None:
    """A member of 20 MB that says 100 kB takes far less memory than 20 MB."""
    archive = open_archive(craft(Crafted(data=bytes(20_000_000), size=100_000)))
    tracemalloc.start()
    try:
        with pytest.raises(PipelineError, match="100000 bytes"):
            read_member(archive, archive.entries[0])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("case", LYING)
def test_lying_members_are_found_without_keeping_them(case: str) -> None:
    """Whoever only looks into an archive finds the same lies."""
    data, said = LYING[case]
    with pytest.raises(PipelineError, match=said):
        check_members(open_archive(data))


@pytest.mark.parametrize("members", [HONEST, craft(Crafted(data=bytes(100_000_000)))])
def test_checking_takes_little_memory(members: bytes) -> None:
    """100 MB that are as announced are inflated and thrown away."""
    archive = open_archive(members, Limits(ratio=2_000))
    tracemalloc.start()
    try:
        check_members(archive)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 50_000_000


def test_a_vast_central_directory_is_not_read() -> None:
    """One entry with a directory of 70 MB is refused before it is parsed."""
    size = 70_000_000
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, size, 0, 0)
    with pytest.raises(PipelineError, match="70000000 bytes is no honest one"):
        open_archive(bytes(size) + end)


def test_a_function_may_hold_zeros(tmp_path: Path) -> None:
    """Its size is bounded, not how well it packs; but no deflate packs better than 1032 to 1."""
    zeros = bytes(20_000_000)
    path = tmp_path / "function.zip"
    write_zip(path, [Member("table.bin", 0o644, compress(zeros))])
    for source in (path, craft(Crafted(data=zeros))):
        archive = open_archive(source, FUNCTION_LIMITS)
        assert read_member(archive, archive.entries[0]) == zeros
    with pytest.raises(PipelineError, match="bomb"):
        open_archive(craft(Crafted(size=22_000_000, data=zeros)), FUNCTION_LIMITS)
    with pytest.raises(PipelineError, match="more than the limit"):
        open_archive(craft(Crafted(size=2 << 30, method=0, packed=2 << 30)), FUNCTION_LIMITS)


def test_limits_can_be_set() -> None:
    """Count and total size are the caller's choice."""
    with pytest.raises(PipelineError, match="2 entries"):
        open_archive(HONEST, Limits(count=1))
    with pytest.raises(PipelineError, match="251 bytes unpacked"):
        open_archive(HONEST, Limits(total=250))


def test_honest_archives_of_others_are_read() -> None:
    """Folders and comments are fine; folders are not listed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as other:
        other.comment = b"made elsewhere"
        other.mkdir("empty")
        other.writestr("a/b.txt", b"text" * 100)
    archive = open_archive(buffer.getvalue())
    found = [(entry.name, read_member(archive, entry)) for entry in archive.entries]
    assert found == [("a/b.txt", b"text" * 100)]


def test_folders_of_any_kind_are_left_out() -> None:
    """Old Maven plug-ins write folders with all mode bits set."""
    data = craft(Crafted(b"META-INF/", b"", 0, mode=0o177777), Crafted())
    assert [entry.name for entry in open_archive(data).entries] == ["a.txt"]


def test_sizes_that_follow_the_data_are_taken_from_the_directory() -> None:
    """Streaming writers leave the local sizes zero."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

        def tell(self) -> int:
            raise io.UnsupportedOperation

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as other:
        other.writestr("a.txt", b"streamed" * 9)
    archive = open_archive(pipe.getvalue())
    assert read_member(archive, archive.entries[0]) == b"streamed" * 9


def test_a_missing_file_is_a_known_error(tmp_path: Path) -> None:
    """The error names it."""
    with pytest.raises(PipelineError, match="No such file"):
        open_archive(tmp_path / "none.zip")


def flipped(data: bytes, dice: random.Random) -> bytes:
    """Damage a few bytes, or cut, or double a piece."""
    damaged = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        damaged[dice.randrange(len(damaged))] = dice.randrange(256)
    if dice.random() < 0.2:
        at = dice.randrange(len(damaged))
        del damaged[at : at + dice.randint(1, 30)]
    return bytes(damaged)


def contents(data: bytes) -> dict[str, bytes]:
    """Read all of an archive; nothing but a PipelineError comes out of it."""
    archive = open_archive(data)
    return {entry.name: read_member(archive, entry) for entry in archive.entries}


@settings(max_examples=400, deadline=None)
@given(st.randoms(use_true_random=False))
def test_damage_never_gets_past_the_checks(dice: random.Random) -> None:
    """Any damaged archive gives the honest contents or a known error."""
    data = flipped(HONEST, dice)
    with suppress(PipelineError):
        assert contents(data) == contents(HONEST)


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_are_no_surprise(data: bytes) -> None:
    """Arbitrary bytes, also as a central directory, give a known error."""
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(data), 0, 0)
    for hostile in (data, data + end):
        with pytest.raises(PipelineError):
            contents(hostile)


def test_what_we_read_zipfile_reads_alike() -> None:
    """The crafted archive that all hostile ones derive from is sound in itself."""
    with zipfile.ZipFile(io.BytesIO(HONEST)) as other:
        assert contents(HONEST) == {name: other.read(name) for name in other.namelist()}


def test_stored_payloads_survive(tmp_path: Path) -> None:
    """Stored members come back as they went in."""
    write_zip(tmp_path / "a.zip", [Member("a", 0o644, store(b"\0\1\2"))])
    archive = open_archive(tmp_path / "a.zip")
    assert read_member(archive, archive.entries[0]) == b"\0\1\2"
