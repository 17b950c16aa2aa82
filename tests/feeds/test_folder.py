"""A folder as a feed: whole files only, and the first one of a version stays."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError
from pipeline.feeds.feed import ABSENT, SAME
from pipeline.feeds.folder import FolderFeed

from tests.feeds.feed_support import package
from tests.words import refused


def no_links(_part: Path, _target: Path) -> None:
    """Refuse as a file system without hard links does."""
    raise OSError(errno.EPERM, "Operation not permitted")


def unheard(_done: int, _total: int) -> None:
    """Take progress that nobody wants."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an empty folder."""
    path = tmp_path / "a feed"
    path.mkdir()
    return path


def test_the_first_of_two_pushes_in_the_same_moment_stays(folder: Path, tmp_path: Path) -> None:
    """The second one finds the name taken when it is about to give it, and leaves nothing."""
    for feed in (FolderFeed(folder), FolderFeed(folder, no_links)):
        ours = package(tmp_path / "made", b"ours")
        target = folder / ours.file_name
        target.write_bytes(b"first")
        assert not feed.send(ours, unheard)
        assert target.read_bytes() == b"first"
        assert list(folder.iterdir()) == [target]


def test_a_file_system_without_links_will_do(folder: Path, tmp_path: Path) -> None:
    """The file is still put there in one step, readable for all."""
    feed = FolderFeed(folder, no_links)
    ours = package(tmp_path / "made", b"ours")
    assert feed.send(ours, unheard)
    assert feed.find(ours) == SAME
    (placed,) = folder.iterdir()
    assert placed.stat().st_mode & 0o777 == 0o644


def test_a_full_disk_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    """And is told with the file that could not be written."""

    def full(_part: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with refused("FOLDER/a feed/Acme.Sample.2.0.7.nupkg", PipelineError):
        FolderFeed(folder, full).send(package(tmp_path / "made"), unheard)
    assert list(folder.iterdir()) == []


def test_ids_have_no_case(folder: Path, tmp_path: Path) -> None:
    """A file that another client wrote in small letters is the same version."""
    ours = package(tmp_path / "made", b"ours")
    (folder / ours.file_name.lower()).write_bytes(ours.path.read_bytes())
    assert FolderFeed(folder).find(ours) == SAME


@pytest.mark.parametrize("spelling", ["2.00.007", "02.0.7.0", "2.0.7+build.5"])
def test_a_version_has_several_spellings(folder: Path, tmp_path: Path, spelling: str) -> None:
    """A feed that knows one of them has the version; another id's file is not taken for it."""
    ours = package(tmp_path / "made", b"ours")
    (folder / f"{ours.id}.Other.2.0.7.nupkg").write_bytes(b"")
    assert FolderFeed(folder).find(ours) == ABSENT
    (folder / f"{ours.id}.{spelling}.nupkg").write_bytes(ours.path.read_bytes())
    assert FolderFeed(folder).find(ours) == SAME


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """What cannot be listed is named."""
    path = tmp_path / "file"
    path.touch()
    with refused("FOLDER/file", PipelineError):
        FolderFeed(path).find(package(tmp_path / "made"))
