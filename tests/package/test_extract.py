"""Extraction: all files, or nothing."""

from __future__ import annotations

from pathlib import Path

from pipeline.core.errors import PipelineError
from pipeline.zip.extract import extract
from pipeline.zip.reader import Archive, open_archive
from pipeline.zip.writer import Member, compress, store, write_zip

from tests.words import refused


def sample(folder: Path) -> Archive:
    """Make an archive of two files, one of them executable."""
    members = [Member("bin/x", 0o755, compress(b"x" * 50)), Member("y", 0o644, store(b"y"))]
    write_zip(folder / "a.zip", members)
    return open_archive(folder / "a.zip")


ALL = {"bin/x": "bin/x", "y": "y"}


def test_extraction_restores_no_modes(tmp_path: Path) -> None:
    """Files are readable and not executable, whatever the archive says."""
    extract(sample(tmp_path), tmp_path / "deep/out", ALL)
    assert (tmp_path / "deep/out/bin/x").read_bytes() == b"x" * 50
    assert (tmp_path / "deep/out/bin/x").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "deep/out").stat().st_mode & 0o777 == 0o755


def test_extraction_spares_what_is_there(tmp_path: Path) -> None:
    """A folder with anything in it is refused and stays as it was; an empty one is used."""
    archive = sample(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").write_text("mine")
    with refused("FOLDER/full", PipelineError):
        extract(archive, tmp_path / "full", ALL)
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine"]
    (tmp_path / "empty").mkdir()
    extract(archive, tmp_path / "empty", ALL)
    assert (tmp_path / "empty/y").read_bytes() == b"y"


def test_files_can_be_chosen_and_renamed(tmp_path: Path) -> None:
    """What `names` does not mention stays out; its targets are checked like any name."""
    archive = sample(tmp_path)
    extract(archive, tmp_path / "out", {"y": "new/z"})
    assert [path.name for path in (tmp_path / "out").rglob("*")] == ["new", "z"]
    with refused("FOLDER/a.zip", PipelineError):
        extract(archive, tmp_path / "evil", {"y": "../z"})
    with refused("FOLDER/a.zip", PipelineError):
        extract(archive, tmp_path / "evil", {"y": "z", "bin/x": "Z"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "out"]


def test_a_folder_that_cannot_be_made_is_a_known_error(tmp_path: Path) -> None:
    """A file in the way is named, with the archive it was to hold."""
    archive = sample(tmp_path)
    with refused("FOLDER/a.zip/out", PipelineError):
        extract(archive, tmp_path / "a.zip" / "out", ALL)
