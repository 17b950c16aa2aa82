"""Hostile archives are refused before anything is written."""

from __future__ import annotations

import random
import struct
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline.core.errors import PipelineError
from pipeline.zip.reader import check_members, open_archive, read_member

from tests.package.crafted_zips import (
    HONEST,
    Crafted,
    contents,
    craft,
    deflated,
    moved,
    second_name,
    with_end,
)
from tests.words import assert_said, refused

INNER = craft(Crafted(b"b")).partition(b"PK\1\2")[0]
HOSTILE: dict[str, bytes] = {
    "traversal": craft(Crafted(b"../x")),
    "inner traversal": craft(Crafted(b"a/../../x")),
    "absolute": craft(Crafted(b"/etc/passwd")),
    "drive": craft(Crafted(b"C:/x")),
    "backslash": craft(Crafted(b"..\\x")),
    "NUL in the name": craft(Crafted(b"a.txt\0.exe")),
    "empty name": craft(Crafted(b"")),
    "duplicate": craft(Crafted(), Crafted()),
    "duplicate but for case": craft(Crafted(), Crafted(b"A.TXT")),
    "file and folder": craft(Crafted(b"a"), Crafted(b"a/b")),
    "symbolic link": craft(Crafted(mode=0o120777)),
    "folder kind on a file": craft(Crafted(mode=0o040755)),
    "device": craft(Crafted(mode=0o020644)),
    "folder with content": craft(Crafted(b"a/", mode=0o040755)),
    "encrypted": craft(Crafted(flags=1)),
    "unknown method": craft(Crafted(method=12)),
    "bad UTF-8": craft(Crafted(b"\xff", flags=0x800)),
    "bomb by ratio": craft(Crafted(data=bytes(3_000_000))),
    "bomb by sum": craft(*(Crafted(b"%d" % n, bytes(1 << 20)) for n in range(9))),
    "bomb by size": craft(Crafted(size=2 << 30, data=bytes(20_000_000))),
    "stored with two sizes": craft(Crafted(method=0, size=9)),
    "local name differs": craft(Crafted(local_name=b"b.txt")),
    "local size differs": craft(Crafted(local_size=9)),
    "local method differs": craft(Crafted(local_method=0)),
    "one local header for two": craft(Crafted(), Crafted(b"b", offset=0)),
    "a member inside another": craft(Crafted(b"a", INNER, 0), Crafted(b"b", offset=31)),
    "a member in the directory": craft(Crafted(method=0, packed=251, size=251, crc=1)),
    "offset outside": craft(Crafted(offset=1 << 20)),
    "local flags differ": craft(Crafted(flags=0x800, local_flags=0)),
    "another disk": craft(Crafted(disk=1)),
    "end record of another disk": with_end(HONEST, 4, 1),
    "directory on another disk": with_end(HONEST, 6, 1),
    "fewer entries here": with_end(HONEST, 8, 1),
    "zip64 size": craft(Crafted(size=0xFFFFFFFF)),
    "zip64 count": craft(Crafted(), count=0xFFFF),
    "count too high": craft(Crafted(), count=2),
    "count too low": craft(Crafted(), Crafted(b"b"), count=1),
    "two end records": craft(tail=craft()),
    "no end record": HONEST[:-1],
    "cut at the front": HONEST[7:],
    "bytes in front": moved(HONEST, 0, b"x"),
    "a zip in front": moved(HONEST, 0, craft()),
    "bytes between members": moved(HONEST, 1, b"xy"),
    "bytes before the directory": moved(HONEST, 2, b"xyz"),
    "bytes before the end record": HONEST[:-22] + b"x" + HONEST[-22:],
    "bytes after the end record": HONEST + b"x",
    "a zip in the comment": craft(tail=craft() + b"x"),
    "bytes that are no sizes": moved(craft(Crafted(flags=8)), 1, b"PK\7\x08" + bytes(12)),
    "a second name": second_name(HONEST, b"b.txt"),
    "too deep": craft(Crafted(b"a/" * 64 + b"b")),
    "too long": craft(Crafted(b"/".join([b"a" * 200] * 6))),
    "not a zip": b"hello",
    "empty file": b"",
}
NOT_DEFLATED = craft(Crafted(method=9, data=b"\xff" * 9)).replace(b"\t\0\0\0!\0", b"\x08\0\0\0!\0")
LYING: dict[str, bytes] = {
    "says less": craft(Crafted(size=9)),
    "says more": craft(Crafted(size=999)),
    "bytes after the end": craft(Crafted(b"a", b"x", payload=deflated(b"x") + b"junk")),
    "bytes far after the end": craft(Crafted(b"a", b"x", payload=deflated(b"x") + bytes(100_000))),
    "stream without end": craft(Crafted(b"a", b"x", payload=deflated(b"x", zlib.Z_SYNC_FLUSH))),
    "wrong checksum": craft(Crafted(crc=1)),
    "not deflated": NOT_DEFLATED,
}


def test_hostile_archives_are_refused(tmp_path: Path) -> None:
    """Each is refused while listing, with an error that names the file and the reason."""
    path, said = tmp_path / "evil.zip", []
    for case, data in HOSTILE.items():
        path.write_bytes(data)
        said.append(case)
        with refused("FOLDER/evil.zip", PipelineError, said=said):
            open_archive(path)
    assert_said("\n".join(said))


def test_lying_members_are_refused() -> None:
    """A size or checksum that lies is found by looking and by reading alike."""
    said: list[str] = []
    for case, data in LYING.items():
        archive, looked, read = open_archive(data), [case], [case]
        with refused("zip", PipelineError, said=looked):
            check_members(archive)
        with refused("zip", PipelineError, said=read):
            contents(data)
        assert looked == read
        said += looked
    assert_said("\n".join(said))


def test_a_bomb_is_not_inflated_beyond_what_it_says() -> None:
    """A member of 20 MB that says 100 kB takes far less memory than 20 MB."""
    archive = open_archive(craft(Crafted(data=bytes(20_000_000), size=100_000)))
    tracemalloc.start()
    try:
        with refused("zip", PipelineError):
            read_member(archive, archive.entries[0])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_a_vast_central_directory_is_not_read() -> None:
    """One entry with a directory of 70 MB is refused before it is parsed."""
    size = 70_000_000
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, size, 0, 0)
    with refused("zip", PipelineError):
        open_archive(bytes(size) + end)


def flipped(data: bytes, dice: random.Random) -> bytes:
    """Damage a few bytes, or cut, or double a piece."""
    damaged = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        damaged[dice.randrange(len(damaged))] = dice.randrange(256)
    if dice.random() < 0.2:
        at = dice.randrange(len(damaged))
        del damaged[at : at + dice.randint(1, 30)]
    return bytes(damaged)


@settings(max_examples=400)
@given(st.randoms(use_true_random=False))
def test_damage_never_gets_past_the_checks(dice: random.Random) -> None:
    """Any damaged archive gives the honest contents or a known error."""
    data = flipped(HONEST, dice)
    with suppress(PipelineError):
        assert contents(data) == contents(HONEST)


@settings(max_examples=200)
@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_are_no_surprise(data: bytes) -> None:
    """Arbitrary bytes, also as a central directory, give a known error."""
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(data), 0, 0)
    for hostile in (data, data + end):
        with pytest.raises(PipelineError):
            contents(hostile)
