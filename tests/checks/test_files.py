"""Folders that are either whole or not there, and texts in the encodings that people use."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline.core.errors import PipelineError
from pipeline.edge.files import decoded, new_folder
from pipeline.verbs.run import read_event

from tests.words import refused


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
        refused("FOLDER/file/x", PipelineError),
        new_folder(tmp_path / "file" / "x"),
    ):
        pytest.fail("the block must not begin")
    with (
        refused("FOLDER/made", PipelineError),
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


@settings(deadline=None)
@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff\r")),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_every_utf_is_read(text: str, encoding: str, end: str) -> None:
    """With its mark, as editors and PowerShell write it; lines end in LF."""
    assert decoded(text.replace("\n", end).encode(encoding), "x") == text


@pytest.mark.parametrize(
    ("data", "where"),
    [
        ("a\nb".encode("utf-16-le"), "x:1"),
        ("ab\n\u0416".encode("utf-16-be"), "x:1"),
        (b"one\ntwo \xe9\n", "x:2"),
        (b"\xff\xfea\0b", "x"),
        (b"\xef\xbb\xbf\xe9", "x"),
    ],
)
def test_another_encoding_is_refused_by_name(data: bytes, where: str) -> None:
    """With the line where there is one, and what to do."""
    with refused(None, PipelineError) as error:
        decoded(data, "x")
    assert (error.value.where, error.value.then) == (where, "Save it as UTF-8.")


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_text_or_a_known_error(data: bytes) -> None:
    """Nothing else comes out of a file that somebody wrote."""
    with suppress(PipelineError):
        assert isinstance(decoded(data, "x"), str)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_an_event_that_powershell_wrote(tmp_path: Path, encoding: str) -> None:
    """AWS takes UTF-8 without a mark; so does the function that is run here."""
    path = tmp_path / "event.json"
    path.write_text('{"key": "\u0416"}', encoding=encoding)
    assert read_event(path) == '{"key": "\u0416"}'.encode()
