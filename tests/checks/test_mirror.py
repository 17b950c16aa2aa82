"""A folder that follows an archive."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline.archive.extract import mirror
from pipeline.errors import PipelineError

from tests.checks.checks_support import zip_of

_NAMES = ["a", "b.py", "d/a", "d/e/f", "d/e/g", "h/i"]
_TREES = st.dictionaries(st.sampled_from(_NAMES), st.binary(max_size=3), max_size=len(_NAMES))


def _mirror(folder: Path, files: Mapping[str, bytes]) -> int:
    return mirror(zip_of(folder.with_name("source.zip"), files), folder)


def _content(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@settings(max_examples=50)
@given(st.lists(_TREES, min_size=1, max_size=4))
def test_it_is_always_equal(trees: list[dict[str, bytes]]) -> None:
    """After each archive the folder holds its files and no others, nor an empty folder."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "mirror"
        for tree in trees:
            _mirror(folder, tree)
            assert _content(folder) == tree
            assert all(any(path.iterdir()) for path in folder.rglob("*") if path.is_dir())
            assert _mirror(folder, tree) == 0


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    """A second archive that changes one file costs one file."""
    files = {f"f{number}": b"x" for number in range(20)}
    assert _mirror(tmp_path / "m", files) == 20
    assert _mirror(tmp_path / "m", {**files, "f3": b"y"}) == 1


def test_damage_heals(tmp_path: Path) -> None:
    """A file that was cut off, edited, replaced by a link, or added is put right."""
    files = {"cut": b"long enough", "edited": b"abc", "link": b"target", "d/whole": b"1"}
    folder = tmp_path / "m"
    _mirror(folder, files)
    for name in ("cut", "edited", "link"):
        (folder / name).unlink()
    (folder / "cut").write_bytes(b"long")
    (folder / "edited").write_bytes(b"xyz")
    (folder / "link").symlink_to(tmp_path)
    (folder / "added").write_bytes(b"")
    (folder / "d" / "e").mkdir()
    assert _mirror(folder, files) == 3
    assert _content(folder) == files
    assert not (folder / "link").is_symlink()
    assert tmp_path.is_dir()


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    """What cannot be written is an error that names the path."""
    (tmp_path / "m").write_bytes(b"")
    with pytest.raises(PipelineError, match="cannot be written"):
        _mirror(tmp_path / "m", {"a": b""})
