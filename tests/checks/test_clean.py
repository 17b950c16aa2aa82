"""`clean`: old builds go, with what no later build has used of the cache."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pipeline.core.errors import UsageError
from pipeline.core.events import Reporter
from pipeline.edge.cache import keep, sealed
from pipeline.verbs.clean import clean
from pipeline.verbs.last_build import Latest, last_build, write_last_build

from tests.words import refused

_HOUR = 3600
_BUILDS = ("1.0.1", "1.0.2", "1.0.3", "1.0.4")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a folder with a build each hour, and what each of them left in a cache."""
    for hour, version in enumerate(_BUILDS):
        folder = tmp_path / "build-output" / version
        folder.mkdir(parents=True)
        for name, size in (("build.json", 10), (f"X.{version}.nupkg", 90)):
            (folder / name).write_bytes(bytes(size))
            os.utime(folder / name, (hour * _HOUR,) * 2)
        cached = _cached(tmp_path, version)
        keep(cached, bytes(1000))
        os.utime(cached.with_name(cached.name + ".sha256"), (hour * _HOUR - 60,) * 2)
    (tmp_path / "build-output" / "tests.xml").touch()
    _make_last(tmp_path, "1.0.4")
    return tmp_path


def _cached(root: Path, version: str) -> Path:
    return root / ".pipeline" / "cache" / f"made-{version}" / f"client-{version}.zip"


def _make_last(root: Path, version: str) -> None:
    package = f"build-output/{version}/X.{version}.nupkg"
    latest = Latest(version, package, "", "", dirty=False, tested=True, verified=True)
    write_last_build(root, latest)


def _clean(root: Path, number: int | None) -> tuple[int, int]:
    return clean(root, root / ".pipeline" / "cache", number, Reporter(lambda _: None))


def _left(root: Path) -> tuple[list[str], list[str]]:
    builds = sorted(path.name for path in (root / "build-output").iterdir())
    caches = sorted(path.name for path in (root / ".pipeline" / "cache").iterdir())
    return builds, [name.removeprefix("made-") for name in caches]


def test_the_newest_builds_stay(repository: Path) -> None:
    """Two of four go, with the caches that were used last for them; the rest stays whole."""
    files, size = _clean(repository, 2)
    assert _left(repository) == (
        ["1.0.3", "1.0.4", "latest.json", "tests.xml"],
        ["1.0.3", "1.0.4"],
    )
    # Two builds of two files, and two caches with their seals.
    assert (files, size) == (8, 2 * (100 + 1000 + 64))
    assert _clean(repository, 2) == (0, 0)


def test_what_is_used_again_stays(repository: Path) -> None:
    """Reading from the cache counts as use: what the first build made serves the others too."""
    assert sealed(_cached(repository, "1.0.1"))
    _clean(repository, 1)
    assert _left(repository)[1] == ["1.0.1", "1.0.4"]


def test_the_last_build_stays(repository: Path) -> None:
    """What the verbs take is kept, whatever is newer: an old commit may have been built again."""
    _make_last(repository, "1.0.1")
    _clean(repository, 1)
    assert _left(repository)[0] == ["1.0.1", "1.0.4", "latest.json", "tests.xml"]
    assert last_build(repository)


def test_everything_goes(repository: Path) -> None:
    """`--all` is no build and an empty cache; a second time there is nothing to do."""
    _clean(repository, None)
    assert _left(repository) == ([], [])
    assert _clean(repository, None) == (0, 0)


def test_none_of_the_newest_is_still_the_last(repository: Path) -> None:
    """`--keep 0` is not `--all`: the last build stays, with what it used of the cache."""
    _clean(repository, 0)
    assert _left(repository) == (["1.0.4", "latest.json", "tests.xml"], ["1.0.4"])
    assert _clean(repository, 0) == (0, 0)


def test_a_number_below_nothing(repository: Path) -> None:
    """Fewer than no builds cannot be kept; nothing is removed."""
    with refused("--keep", UsageError):
        _clean(repository, -1)
    assert len(_left(repository)[0]) == 6
