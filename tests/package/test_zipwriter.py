"""Deterministic zip files."""

from __future__ import annotations

import hashlib
import io
import random
import struct
import subprocess
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline.core.errors import PipelineError
from pipeline.zip.member_names import first_clash, name_problem
from pipeline.zip.reader import members_of, open_archive, read_member
from pipeline.zip.writer import (
    DEFLATED,
    NOTHING,
    STORED,
    Block,
    Member,
    Raw,
    block_of,
    compress,
    read_directory,
    store,
    write_zip,
)

from tests.tools import tool
from tests.words import refused

PARTS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), max_size=8)
NAMES = st.lists(PARTS, min_size=1, max_size=4).map("/".join).filter(lambda n: not name_problem(n))
FILES = st.dictionaries(
    NAMES, st.tuples(st.sampled_from([0o644, 0o755]), st.binary(max_size=300), st.booleans())
).filter(lambda files: first_clash(files) is None)


def zipped(members: list[Member], begin: Block = NOTHING) -> bytes:
    """Return the bytes of a zip, whose digest is told right."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.zip"
        digest = write_zip(path, members, begin)
        assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
        return path.read_bytes()


@settings(max_examples=60)
@given(FILES, st.randoms())
def test_what_is_written_is_read_back(
    files: dict[str, tuple[int, bytes, bool]], dice: random.Random
) -> None:
    """Python's zipfile and our reader give back names, modes and bytes, whatever the order."""
    members = [
        Member(name, mode, compress(data) if packed else store(data))
        for name, (mode, data, packed) in files.items()
    ]
    whole = zipped(members)
    dice.shuffle(members)
    assert zipped(members) == whole
    plain = {name: (mode, data) for name, (mode, data, _) in files.items()}
    with zipfile.ZipFile(io.BytesIO(whole)) as other:
        infos = other.infolist()
        found = {i.filename: ((i.external_attr >> 16) & 0o777, other.read(i)) for i in infos}
        assert found == plain
        assert [i.filename for i in infos] == sorted(plain)
    archive = open_archive(whole)
    assert {e.name: (e.mode, read_member(archive, e)) for e in archive.entries} == plain


def test_the_headers_hold_nothing_that_varies(tmp_path: Path) -> None:
    """Dates, creating system, flags, versions, extra fields and comments are the same always."""
    path = tmp_path / "a.zip"
    write_zip(path, [Member("é.py", 0o644, compress(b"a" * 99)), Member("b", 0o755, store(b"b"))])
    with zipfile.ZipFile(path) as found:
        first, second = found.infolist()
    for info in (first, second):
        assert info.date_time == (1980, 1, 1, 0, 0, 0)
        assert (info.create_system, info.create_version, info.extract_version) == (3, 20, 20)
        assert (info.extra, info.comment, info.internal_attr) == (b"", b"", 0)
    assert (first.external_attr, second.external_attr) == (0o100755 << 16, 0o100644 << 16)
    assert (first.flag_bits, second.flag_bits) == (0, 0x800)
    assert (first.compress_type, second.compress_type) == (STORED, DEFLATED)


def test_the_bytes_are_pinned() -> None:
    """The same members give these bytes on every machine, Python and day."""
    source = b"def handle(event, context):\n    return event\n" * 9
    members = [
        Member("handler.py", 0o644, compress(source)),
        Member("bin/run", 0o755, store(b"#!/bin/sh\n")),
    ]
    digest = hashlib.sha256(zipped(members)).hexdigest()
    assert digest == "ea65a0e1c2473d4093154658f885b40de46bf3e4c7074960ff21b0368ec7e054"


def test_info_zip_accepts_it(tmp_path: Path) -> None:
    """Info-ZIP tests it without complaint and restores modes under any umask."""
    path = tmp_path / "a.zip"
    write_zip(path, [Member("bin/x", 0o755, compress(b"x" * 999)), Member("y", 0o644, store(b""))])
    unzip = tool("unzip")
    done = subprocess.run([unzip, "-t", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    subprocess.run([unzip, "-q", path, "-d", tmp_path / "out"], check=True)
    assert (tmp_path / "out/bin/x").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "out/y").stat().st_mode & 0o777 == 0o644


def test_what_does_not_shrink_is_stored() -> None:
    """Random and empty bytes are kept as they are."""
    noise = random.Random(1).randbytes(5000)  # noqa: S311
    assert compress(noise) == store(noise)
    assert compress(b"").method == STORED
    assert compress(b"a" * 5000).method == DEFLATED


def test_members_are_copied_without_compressing_again(tmp_path: Path) -> None:
    """A zip made of another zip's raw members has the same bytes, however they were made."""
    path = tmp_path / "a.zip"
    write_zip(path, [Member(f"m{n}", 0o644, compress(b"%d" % n * n)) for n in range(50)])
    write_zip(tmp_path / "b.zip", members_of(open_archive(path)))
    assert (tmp_path / "b.zip").read_bytes() == path.read_bytes()


@settings(max_examples=40)
@given(FILES, FILES)
def test_a_zip_may_begin_with_another(
    first: dict[str, tuple[int, bytes, bool]], second: dict[str, tuple[int, bytes, bool]]
) -> None:
    """Its members are there as they were, then come the others; what clashes is refused."""
    one, two = (
        [Member(n, mode, compress(d) if p else store(d)) for n, (mode, d, p) in files.items()]
        for files in (first, second)
    )
    start = block_of(zipped(one))
    if first_clash([*first, *second]):
        with pytest.raises(PipelineError, match="clash"):
            zipped(two, start)
        return
    whole = zipped(two, start)
    archive = open_archive(whole)
    assert [e.name for e in archive.entries] == [*sorted(first), *sorted(second)]
    plain = {name: (mode, data) for name, (mode, data, _) in {**first, **second}.items()}
    assert {e.name: (e.mode, read_member(archive, e)) for e in archive.entries} == plain
    with zipfile.ZipFile(io.BytesIO(whole)) as other:
        assert other.testzip() is None
    assert read_directory(block_of(whole).directory) == {
        entry.name: (entry.crc, entry.size) for entry in archive.entries
    }


@pytest.mark.parametrize(
    "names",
    [
        ["a", "a"],
        ["a", "A"],
        ["é", "e\u0301"],
        ["a", "A/b"],
        ["/a"],
        ["c:/a"],
        ["../a"],
        ["a/../b"],
        ["a\\b"],
        ["a//b"],
        ["./a"],
        ["a/"],
        [""],
        ["a\nb"],
        ["\ud800"],
        ["a" * 256],
        ["a/" * 64 + "b"],
        ["/".join(["a" * 250] * 5)],
    ],
)
def test_unsafe_names_are_refused(names: list[str]) -> None:
    """Names that some system would reject, merge or misplace do not get into a zip."""
    with refused("FOLDER/a.zip", PipelineError):
        zipped([Member(name, 0o644, store(b"")) for name in names])


def test_other_modes_are_refused() -> None:
    """Only 0644 and 0755 are written, as AWS needs them readable by all."""
    with refused("FOLDER/a.zip", PipelineError):
        zipped([Member("a", 0o600, store(b""))])


def test_what_needs_zip64_is_refused() -> None:
    """More than 65,534 files, or 4 GB, is an error instead of a broken file."""
    with refused("FOLDER/a.zip", PipelineError):
        zipped([Member(f"{n}", 0o644, store(b"")) for n in range(65_535)])
    with refused("FOLDER/a.zip", PipelineError):
        zipped([Member("a", 0o644, Raw(b"", 0, 1 << 32, DEFLATED))])
    shared = store(bytes(1 << 20))
    with refused("FOLDER/a.zip", PipelineError):
        zipped([Member(f"{n}", 0o644, shared) for n in range(4096)])


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    """A failure in the middle leaves the earlier file and no other."""
    path = tmp_path / "a.zip"
    write_zip(path, [Member("a", 0o644, store(b"first"))])
    before = path.read_bytes()
    crc_too_large = Raw(b"x", 1 << 40, 1, STORED)
    with pytest.raises(struct.error):
        write_zip(path, [Member("a", 0o644, store(b"second")), Member("b", 0o644, crc_too_large)])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_missing_is_a_known_error(tmp_path: Path) -> None:
    """The error names the file and says why."""
    path = tmp_path / "none" / "a.zip"
    with refused("FOLDER/none/a.zip", PipelineError):
        write_zip(path, [])


def test_the_umask_does_not_matter(tmp_path: Path) -> None:
    """The file can be read by all, like every other build output."""
    write_zip(tmp_path / "a.zip", [Member("a", 0o644, store(b""))])
    assert (tmp_path / "a.zip").stat().st_mode & 0o777 == 0o644


def test_thousands_of_members_are_quick_work(tmp_path: Path) -> None:
    """4,000 members of 25 kB are written and listed without quadratic work."""
    raw = store(bytes(25_000))
    members = [Member(f"folder{n % 90}/file{n}.py", 0o644, raw) for n in range(4_000)]
    write_zip(tmp_path / "big.zip", members)
    assert (tmp_path / "big.zip").stat().st_size > 100_000_000
    assert len(open_archive(tmp_path / "big.zip").entries) == 4_000
