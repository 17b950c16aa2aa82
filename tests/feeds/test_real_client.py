"""The real NuGet client: it proves the stand-in first, and then reads what ours has pushed."""

from __future__ import annotations

from pathlib import Path

import pytest
from pipeline.core.errors import Conflict
from pipeline.feeds.folder import FolderFeed
from pipeline.feeds.nuget import NugetV2, Source

from tests.feeds.feed_support import ID, VERSION, Pusher, http, package
from tests.nuget_client import Nuget
from tests.standins.loopback import Loopback
from tests.standins.nuget_v2 import KEY, NugetV2Feed
from tests.words import refused

_INSTALL = ("install", ID, "-Version", VERSION, "-OutputDirectory", "installed", "-NoCache")


def installed(folder: Path) -> bytes:
    """Return the file that the real client has unpacked."""
    return (folder / "installed" / f"{ID}.{VERSION}" / "code.py").read_bytes()


@pytest.mark.slow
def test_the_real_client_takes_the_stand_in_for_a_feed(
    nuget: Nuget, v2: NugetV2Feed, v2_server: Loopback, tmp_path: Path
) -> None:
    """It pushes to it, is refused for the same version, and installs from it; ours compares."""
    made = package(tmp_path / "made", b"theirs")
    source = f"{v2_server.url}/nuget"
    push = ("push", made.path.name, "-ApiKey", KEY, "-Source", source)
    first = nuget(*push, cwd=made.path.parent)
    assert first.returncode == 0, first.stdout + first.stderr
    assert v2.packages == {(ID.lower(), VERSION): made.path.read_bytes()}
    assert nuget(*push, cwd=made.path.parent).returncode == 1
    got = nuget(*_INSTALL, "-Source", source, cwd=tmp_path)
    assert got.returncode == 0, got.stdout + got.stderr
    assert installed(tmp_path) == b"theirs"
    feed = NugetV2(Source(http(), source, KEY))
    assert "already" in Pusher()(feed, made).text
    with refused("push Acme.Sample 2.0.7", Conflict):
        Pusher()(feed, package(tmp_path / "made", b"ours"))


def test_the_real_client_installs_what_ours_pushed_to_a_feed(
    nuget: Nuget, v2_server: Loopback, tmp_path: Path
) -> None:
    """The same bytes, from a feed whose source has a path of its own."""
    source = f"{v2_server.url}/nuget"
    made = package(tmp_path / "made", b"ours")
    assert Pusher()(NugetV2(Source(http(), source, KEY)), made).sent
    got = nuget(*_INSTALL, "-Source", source, cwd=tmp_path)
    assert got.returncode == 0, got.stdout + got.stderr
    assert installed(tmp_path) == b"ours"


def test_the_real_client_installs_what_ours_pushed_to_a_folder(
    nuget: Nuget, tmp_path: Path
) -> None:
    """A folder is a feed to it as well."""
    folder = tmp_path / "a feed"
    folder.mkdir()
    assert Pusher()(FolderFeed(folder), package(tmp_path / "made", b"ours")).sent
    got = nuget(*_INSTALL, "-Source", folder, cwd=tmp_path)
    assert got.returncode == 0, got.stdout + got.stderr
    assert installed(tmp_path) == b"ours"


def test_a_source_without_a_path_is_pushed_to_as_the_real_client_does(
    nuget: Nuget, v2: NugetV2Feed, v2_server: Loopback, tmp_path: Path
) -> None:
    """Both put it to `/api/v2/package/`, with the same field and the same key."""
    v2.base = ""
    made = package(tmp_path / "made", b"theirs")
    words = ("push", made.path.name, "-ApiKey", KEY, "-Source", v2_server.url)
    push = nuget(*words, cwd=made.path.parent)
    assert push.returncode == 0, push.stdout + push.stderr
    theirs = v2_server.asked[-1]
    v2.packages.clear()
    assert Pusher()(NugetV2(Source(http(), v2_server.url, KEY)), made).sent
    ours = v2_server.asked[-1]
    assert (ours.method, ours.path) == (theirs.method, theirs.path)
    assert ours.headers["x-nuget-apikey"] == theirs.headers["x-nuget-apikey"]
