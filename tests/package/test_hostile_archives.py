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
from pipeline.zip.extract import extract
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
    "bytes in front": (moved(HONEST, 0, b"x"), "first 1 bytes"),
    "a zip in front": (moved(HONEST, 0, craft()), "first 22 bytes"),
    "bytes between members": (moved(HONEST, 1, b"xy"), "the 2 bytes that follow"),
    "bytes before the directory": (moved(HONEST, 2, b"xyz"), "the 3 bytes that follow"),
    "bytes before the end record": (HONEST[:-22] + b"x" + HONEST[-22:], "does not fit"),
    "bytes after the end record": (HONEST + b"x", "no end record"),
    "a zip in the comment": (craft(tail=craft() + b"x"), "two end records"),
    "bytes that are no sizes": (
        moved(craft(Crafted(flags=8)), 1, b"PK\7\x08" + bytes(12)),
        "the 16 bytes that follow",
    ),
    "a second name": (second_name(HONEST, b"b.txt"), "other name"),
    "too deep": (craft(Crafted(b"a/" * 64 + b"b")), "64 folders deep"),
    "too long": (craft(Crafted(b"/".join([b"a" * 200] * 6))), "longer than 1024"),
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
    archive = open_archive(data)
    with pytest.raises(PipelineError, match=said):
        extract(archive, tmp_path / "out", {entry.name: entry.name for entry in archive.entries})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("case", LYING)
def test_lying_members_are_found_without_keeping_them(case: str) -> None:
    """Whoever only looks into an archive finds the same lies."""
    data, said = LYING[case]
    with pytest.raises(PipelineError, match=said):
        check_members(open_archive(data))


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


def test_a_vast_central_directory_is_not_read() -> None:
    """One entry with a directory of 70 MB is refused before it is parsed."""
    size = 70_000_000
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, size, 0, 0)
    with pytest.raises(PipelineError, match="70000000 bytes is too large"):
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
