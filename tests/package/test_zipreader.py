"""Honest archives are read, whoever wrote them, within limits that the caller sets."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError
from pipeline.zip.reader import FUNCTION_LIMITS, Limits, check_members, open_archive, read_member
from pipeline.zip.writer import Member, compress, store, write_zip

from tests.package.crafted_zips import HONEST, Crafted, contents, craft
from tests.words import refused


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


def test_a_function_may_hold_zeros(tmp_path: Path) -> None:
    """Its size is bounded, not how well it packs; but no deflate packs better than 1032 to 1."""
    zeros = bytes(20_000_000)
    path = tmp_path / "function.zip"
    write_zip(path, [Member("table.bin", 0o644, compress(zeros))])
    for source in (path, craft(Crafted(data=zeros))):
        archive = open_archive(source, FUNCTION_LIMITS)
        assert read_member(archive, archive.entries[0]) == zeros
    with refused("zip", PipelineError):
        open_archive(craft(Crafted(size=22_000_000, data=zeros)), FUNCTION_LIMITS)
    with refused("zip", PipelineError):
        open_archive(craft(Crafted(size=2 << 30, method=0, packed=2 << 30)), FUNCTION_LIMITS)


def test_limits_can_be_set() -> None:
    """Count and total size are the caller's choice."""
    with refused("zip", PipelineError):
        open_archive(HONEST, Limits(count=1))
    with refused("zip", PipelineError):
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
    with refused("FOLDER/none.zip", PipelineError):
        open_archive(tmp_path / "none.zip")


def test_what_we_read_zipfile_reads_alike() -> None:
    """The crafted archive that all hostile ones derive from is sound in itself."""
    with zipfile.ZipFile(io.BytesIO(HONEST)) as other:
        assert contents(HONEST) == {name: other.read(name) for name in other.namelist()}


def test_stored_payloads_survive(tmp_path: Path) -> None:
    """Stored members come back as they went in."""
    write_zip(tmp_path / "a.zip", [Member("a", 0o644, store(b"\0\1\2"))])
    archive = open_archive(tmp_path / "a.zip")
    assert read_member(archive, archive.entries[0]) == b"\0\1\2"
