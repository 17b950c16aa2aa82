"""What a person reads when two zips that should be the same are not."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from pipeline.zip.difference import difference
from pipeline.zip.reader import open_archive
from pipeline.zip.writer import Member, Raw, compress, store, write_zip

from tests.words import assert_said

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
    ("other", "first"),
    [
        (flipped(TEXT, (120, 150, 187)), "120"),
        (flipped(TEXT, (4_389,)), "4,389"),
        (flipped(TEXT, (0, 4_389)), "0"),
        (TEXT[:2_000], "2,000"),
        (TEXT + b"\n", "4,390"),
    ],
)
def test_the_first_byte_is_named(other: bytes, first: str) -> None:
    """The first byte of a file's content that is another one, or that only one has, from 0."""
    assert len(TEXT) == 4_390
    ours = zipped({**FILES, "deploy.py": compress(other)})
    assert_said(difference(ours, REBUILT), {rf"\b{first}\b": "FIRST"})


def test_files_of_one_side_come_first() -> None:
    """A file too many or too few is told before contents that differ."""
    other = {**FILES, "Acme.nuspec": compress(b"other")}
    assert_said(difference(zipped({**other, "z": store(b"")}), REBUILT))
    del other["deploy.py"]
    assert_said(difference(zipped(other), REBUILT))


def test_contents_come_before_what_is_said_of_them() -> None:
    """A zip that was packed again with one file changed names that file, not the first one."""
    plain = {"Acme.nuspec": b"<package/>" * 20, "environment/stack.yaml": b"Resources: {}\n" * 9}
    again = {name: store(data) for name, data in plain.items()}
    again["deploy.py"] = store(flipped(TEXT, [10]))
    assert_said(difference(zipped(again), REBUILT))
    again["deploy.py"] = store(TEXT)
    assert_said(difference(zipped(again), REBUILT))
    assert_said(difference(zipped(FILES, 0o755), REBUILT))


def test_damaged_bytes_of_a_file() -> None:
    """A byte that flipped inside compressed data is named with the file it lies in."""
    begin, packed = begin_of(REBUILT, "deploy.py")
    for at in (begin + 5, begin + packed // 2):
        said = difference(flipped(REBUILT, [at]), REBUILT)
        assert "'deploy.py'" in said
        assert said.endswith(f"it differs from byte {at:,} on")


def test_what_is_in_no_file() -> None:
    """Headers, the directory and the end of a zip are told as such."""
    begin, _ = begin_of(REBUILT, "deploy.py")
    date = begin - len("deploy.py") - 30 + 12
    record = REBUILT.rfind(b"PK\1\2", 0, REBUILT.rfind(b"deploy.py"))
    for at in (date, record + 12):
        assert_said(difference(flipped(REBUILT, [at]), REBUILT), {f"{at:,}": "FIRST"})
    comment = REBUILT[:-2] + b"\1\0!"
    assert_said(difference(comment, REBUILT), {f"{len(REBUILT) - 2:,}": "FIRST"})


def test_a_zip_within_is_looked_into() -> None:
    """The function zip is stored in the package: what differs in it is named as well."""
    inner = {"handler.py": compress(TEXT)}
    rebuilt = zipped({**FILES, "function.zip": store(zipped(inner))})
    changed = zipped({"handler.py": compress(flipped(TEXT, [7, 9]))})
    ours = zipped({**FILES, "function.zip": store(changed)})
    assert_said(difference(ours, rebuilt))
    begin, _ = begin_of(rebuilt, "function.zip")
    at, _ = begin_of(zipped(inner), "handler.py")
    said = difference(flipped(rebuilt, [begin + at + 9]), rebuilt)
    assert said.startswith("function.zip: 'handler.py'")
    assert said.endswith(f"it differs from byte {at + 9} on")


@pytest.mark.parametrize("ours", [b"", b"no zip", REBUILT[:-30], b"PK\5\6" * 20, REBUILT + b"x"])
def test_what_is_no_zip(ours: bytes) -> None:
    """Whatever it is, it is told without an error, and where it departs from the rebuilt one."""
    assert_said(difference(ours, REBUILT), {r"(?<=byte )[\d,]+": "FIRST"})
