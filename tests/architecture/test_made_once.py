"""The folders that all workers share: made whole, by whoever comes first and does not fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import MadeOnce


def test_a_folder_is_made_once(made_once: MadeOnce) -> None:
    """Who comes later gets the same one; what differs behind a dot is another one."""
    made: list[str] = []

    def make(folder: Path) -> None:
        folder.mkdir()
        made.append(folder.name)

    names = ["once 1.0", "once 1.1", "once 1.0"]
    assert [made_once(name, make).name for name in names] == names
    assert made == names[:2]


def test_what_was_left_halfway_is_made_anew(made_once: MadeOnce) -> None:
    """The next one starts from nothing, and fails by itself if it must, not by what lies there."""

    def half(folder: Path) -> None:
        folder.mkdir()
        (folder / "half").touch()
        raise InterruptedError

    with pytest.raises(InterruptedError):
        made_once("halfway", half)
    folder = made_once("halfway", Path.mkdir)
    assert [*folder.iterdir()] == []
