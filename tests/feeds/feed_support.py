"""What the tests of feeds share: packages to push, connections, and a stage that keeps events."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.events import Event, Progressed, Stage
from pipeline.edge.http import Http
from pipeline.feeds.feed import Feed
from pipeline.feeds.publish import Published, publish
from pipeline.package.contents import Package
from pipeline.package.nupkg import pack
from pipeline.package.nuspec import parse
from pipeline.zip.writer import store

from tests.standins.loopback import Answer, Asked

ID, VERSION = "Acme.Sample", "2.0.7"
_NUSPEC = (
    "<package><metadata><id>{id}</id><version>{version}</version><authors>Acme</authors>"
    "<description>{text}</description></metadata></package>"
)


def package(
    folder: Path, content: bytes = b"x", *, version: str = VERSION, text: str = "A sample"
) -> Package:
    """Make a package with one file, named so that no two of a test get in each other's way."""
    folder.mkdir(parents=True, exist_ok=True)
    nuspec = parse(_NUSPEC.format(id=ID, version=version, text=text).encode(), "test")
    path = folder / f"{len(list(folder.iterdir()))}.nupkg"
    pack(nuspec, {"code.py": store(content)}, path)
    return Package.open(path)


def http(environ: dict[str, str] | None = None, waits: list[float] | None = None) -> Http:
    """Return connections that do not really wait; `waits` gets the seconds they would have."""
    return Http(environ or {}, sleep=(waits if waits is not None else []).append)


def echo(asked: Asked) -> Answer:
    """Answer with the method and the path."""
    return Answer(200, f"{asked.method} {asked.path}".encode())


@dataclass
class Pusher:
    """A push of one package, with what it reported on the way."""

    events: list[Event] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def __call__(
        self, feed: Feed, candidate: Package, *, skip_duplicate: bool = False
    ) -> Published:
        """Publish the package."""
        stage = Stage("push", self.events.append)
        return publish(
            feed, candidate, stage, skip_duplicate=skip_duplicate, sleep=self.waits.append
        )

    @property
    def progress(self) -> list[tuple[int, int]]:
        """The (bytes, total) that were reported while sending."""
        return [(e.done, e.total) for e in self.events if isinstance(e, Progressed) and e.total]
