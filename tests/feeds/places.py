"""A feed of each kind behind one face, so that one test can ask the same of all of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.feeds.builtin import BuiltInFeed
from pipeline.feeds.feed import Feed
from pipeline.feeds.folder import FolderFeed
from pipeline.feeds.nuget import NugetV2, NugetV3, Source

from tests.feeds.feed_support import ID, VERSION, http
from tests.standins import octopus_server
from tests.standins.loopback import Answer, Fault, serving
from tests.standins.nuget_v2 import KEY, NugetV2Feed
from tests.standins.nuget_v3 import NugetV3Feed

SERVERS = ("v2", "v3", "built-in")
KINDS = ("folder", *SERVERS)


@dataclass(frozen=True)
class Place:
    """A feed, what it has stored, how it gets a package behind our back, how it breaks.

    `lose` makes it take the next push and not answer; `drop` breaks the connection in its
    middle; `fail` answers it with a status, after taking the package if so told.
    """

    feed: Feed
    stored: Callable[[], list[bytes]]
    put: Callable[[bytes], None]
    pushes: Callable[[], int] = lambda: 0
    drop: Callable[[int], None] = lambda _: None
    lose: Callable[[], None] = lambda: None
    fail: Callable[[int, bool], None] = lambda _, __: None


@contextmanager
def place(kind: str, folder: Path) -> Iterator[Place]:
    """Run a feed of one of KINDS."""
    if kind == "folder":
        folder.mkdir()
        target = folder / f"{ID}.{VERSION}.nupkg"
        yield Place(
            FolderFeed(folder),
            lambda: [path.read_bytes() for path in folder.iterdir()],
            lambda content: void(target.write_bytes(content)),
        )
    elif kind == "built-in":
        with _built_in() as found:
            yield found
    else:
        with _nuget(NugetV2Feed() if kind == "v2" else NugetV3Feed()) as found:
            yield found


def void(_: object) -> None:
    """Take a value that nobody wants."""


@contextmanager
def _nuget(content: NugetV2Feed | NugetV3Feed) -> Iterator[Place]:
    with serving(content) as server:
        feed: Feed
        if isinstance(content, NugetV2Feed):
            feed = NugetV2(Source(http(), f"{server.url}/nuget", KEY))
        else:
            feed = NugetV3.open(Source(http(), f"{server.url}/v3/index.json", KEY))
        yield Place(
            feed,
            lambda: list(content.packages.values()),
            lambda data: content.packages.update({(ID.lower(), VERSION): data}),
            lambda: server.methods().count("PUT"),
            lambda times: server.faults.extend([Fault("PUT", drop="before")] * times),
            lambda: server.faults.append(Fault("PUT", drop="after")),
            lambda status, handled: server.faults.append(
                Fault("PUT", answer=Answer(status, b"<h1>Bad luck</h1>"), handled=handled)
            ),
        )


@contextmanager
def _built_in() -> Iterator[Place]:
    with octopus_server.OctopusServer(base="/octo") as server:
        key = f"packages-{ID}.{VERSION}"
        push = "POST /octo/api/Spaces-1/packages/raw"

        def put(data: bytes) -> None:
            server.add_package(ID, VERSION)
            server.space.files[key] = data

        def add(kind: str | int, times: int = 1) -> None:
            server.faults.append(octopus_server.Fault(re.escape(push), kind, times))

        yield Place(
            BuiltInFeed(
                http(),
                f"{server.url}/api/Spaces-1",
                {"X-Octopus-ApiKey": octopus_server.KEY},
            ),
            lambda: list(server.space.files.values()),
            put,
            lambda: sum(request.startswith(push) for request in server.requests),
            lambda times: add("drop", times),
            lambda: add("lose"),
            lambda status, _: add(status),
        )
    assert server.unknown == []
