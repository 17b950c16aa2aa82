"""What a person reads when two zips that should be the same are not."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from pipeline.archive.difference import difference
from pipeline.archive.zipreader import open_archive
from pipeline.archive.zipwriter import Member, Raw, compress, store, write_zip

TEXT = b"".join(b"line %d of the deploy script\n" % number for number in range(150))
FILES = {
    "Acme.nuspec": compress(b"<package/>" * 20),
    "deploy.py": compress(TEXT),
    "environment/stack.yaml": compress(b"Resources: {}\n" * 9),
}


def zipped(files: dict[str, Raw], mode: int = 0o644) -> bytes:
    """Return the bytes of a zip of these files."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.zip"
        write_zip(path, [Member(name, mode, raw) for name, raw in files.items()])
        return path.read_bytes()


def flipped(data: bytes, places: Iterable[int]) -> bytes:
    """Return the bytes with some of them changed."""
    changed = bytearray(data)
    for at in places:
        changed[at] ^= 0x55
    return bytes(changed)


def begin_of(data: bytes, name: str) -> tuple[int, int]:
    """Return where the compressed bytes of a file begin, and how many they are."""
    (entry,) = (entry for entry in open_archive(data).entries if entry.name == name)
    return entry.offset, entry.packed


REBUILT = zipped(FILES)


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ((120, 150, 187), "deploy.py differs in bytes 120 to 187 of 4,390"),
        ((4_389,), "deploy.py differs in byte 4,389 of 4,390"),
        ((0, 4_389), "deploy.py differs in bytes 0 to 4,389 of 4,390"),
    ],
)
def test_the_range_of_bytes_is_named(places: tuple[int, ...], said: str) -> None:
    """The first and the last byte of a file's content, counted from 0."""
    assert len(TEXT) == 4_390
    ours = zipped({**FILES, "deploy.py": compress(flipped(TEXT, places))})
    assert difference(ours, REBUILT) == said


@pytest.mark.parametrize("cut", [2_000, 4_300])
def test_another_length_is_told_with_both(cut: int) -> None:
    """A shorter file says how long both are and where they part."""
    ours = zipped({**FILES, "deploy.py": compress(TEXT[:cut])})
    said = f"deploy.py has {cut:,} bytes, the rebuilt one 4,390; they differ from byte {cut:,} on"
    assert difference(ours, REBUILT) == said


def test_files_of_one_side_come_first() -> None:
    """A file too many or too few is told before contents that differ."""
    other = {**FILES, "Acme.nuspec": compress(b"other")}
    assert difference(zipped({**other, "z": store(b"")}), REBUILT) == "z is not in the rebuilt one"
    del other["deploy.py"]
    assert difference(zipped(other), REBUILT) == "deploy.py is only in the rebuilt one"


def test_contents_come_before_what_is_said_of_them() -> None:
    """A zip that was packed again with one file changed names that file, not the first one."""
    plain = {"Acme.nuspec": b"<package/>" * 20, "environment/stack.yaml": b"Resources: {}\n" * 9}
    again = {name: store(data) for name, data in plain.items()}
    again["deploy.py"] = store(flipped(TEXT, [10]))
    assert difference(zipped(again), REBUILT) == "deploy.py differs in byte 10 of 4,390"
    again["deploy.py"] = store(TEXT)
    said = "Acme.nuspec holds the same bytes, compressed in another way"
    assert difference(zipped(again), REBUILT) == said
    said = "Acme.nuspec has the mode 0755, the rebuilt one 0644"
    assert difference(zipped(FILES, 0o755), REBUILT) == said


def test_damaged_bytes_of_a_file() -> None:
    """A byte that flipped inside compressed data is named with the file it lies in."""
    begin, packed = begin_of(REBUILT, "deploy.py")
    for at in (begin + 5, begin + packed // 2):
        said = difference(flipped(REBUILT, [at]), REBUILT)
        assert "'deploy.py'" in said
        where = f"it differs in byte {at:,} of {len(REBUILT):,}, in the bytes of deploy.py"
        assert said.endswith(where)


def test_what_is_in_no_file() -> None:
    """Headers, the directory and the end of a zip are told as such."""
    begin, _ = begin_of(REBUILT, "deploy.py")
    date = begin - len("deploy.py") - 30 + 12
    said = difference(flipped(REBUILT, [date]), REBUILT)
    assert f"it differs in byte {date} of {len(REBUILT)}" in said
    assert said.endswith("in what stands before the bytes of deploy.py")
    record = REBUILT.rfind(b"PK\1\2", 0, REBUILT.rfind(b"deploy.py"))
    said = difference(flipped(REBUILT, [record + 12]), REBUILT)
    assert said.endswith("in what its directory says of deploy.py")
    said = difference(REBUILT[:-2] + b"\1\0!", REBUILT)
    assert said.endswith("in the record at its end")


def test_a_zip_within_is_looked_into() -> None:
    """The function zip is stored in the package: what differs in it is named as well."""
    inner = {"handler.py": compress(TEXT)}
    rebuilt = zipped({**FILES, "function.zip": store(zipped(inner))})
    changed = zipped({"handler.py": compress(flipped(TEXT, [7, 9]))})
    ours = zipped({**FILES, "function.zip": store(changed)})
    assert difference(ours, rebuilt) == "function.zip: handler.py differs in bytes 7 to 9 of 4,390"
    begin, _ = begin_of(rebuilt, "function.zip")
    at, _ = begin_of(zipped(inner), "handler.py")
    said = difference(flipped(rebuilt, [begin + at + 9]), rebuilt)
    assert said.startswith("function.zip: 'handler.py'")
    assert f"it differs in byte {at + 9} of" in said
    assert said.endswith("in the bytes of handler.py")


@pytest.mark.parametrize("ours", [b"", b"no zip", REBUILT[:-30], b"PK\5\6" * 20, REBUILT + b"x"])
def test_what_is_no_zip(ours: bytes) -> None:
    """Whatever it is, it is told without an error, and where it departs from the rebuilt one."""
    assert f"has {len(ours):,} bytes, the rebuilt one {len(REBUILT):,}" in difference(ours, REBUILT)
