"""Folders that are either whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from pipeline.edge.files import new_folder
from pipeline.errors import PipelineError


def test_what_goes_wrong_inside_keeps_its_own_error(tmp_path: Path) -> None:
    """Another file's fault is not told as the folder's; nothing is left of the folder."""
    missing = tmp_path / "missing"
    with pytest.raises(FileNotFoundError) as error, new_folder(tmp_path / "made"):
        missing.read_bytes()
    assert error.value.filename == str(missing)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file in the way is an error before the block begins, or when it ends."""
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(PipelineError, match="cannot be written"),
        new_folder(tmp_path / "file" / "x"),
    ):
        pytest.fail("the block must not begin")
    with (
        pytest.raises(PipelineError, match="cannot be written"),
        new_folder(tmp_path / "made") as part,
    ):
        part.rmdir()


def test_a_whole_folder_takes_its_place(tmp_path: Path) -> None:
    """What was there is replaced."""
    target = tmp_path / "made"
    for text in ("one", "two"):
        with new_folder(target) as part:
            (part / text).write_text(text)
    assert [path.name for path in target.iterdir()] == ["two"]
