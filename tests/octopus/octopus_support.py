"""What the tests of the Octopus client share."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.edge.http import Http
from pipeline.octopus.client import Access, Octopus, connect
from pipeline.report.events import Event, Failed, Finished, Line, Reporter, Warned
from pipeline.values.manifest import FunctionFacts, Manifest, Source, ZipFacts
from pipeline.values.project import Project

from tests.standins.octopus_server import KEY, OctopusServer

__all__ = ["Clock", "Events", "built", "opened", "package_file", "project_in"]


@dataclass
class Clock:
    """Seconds that pass only by sleeping; `at` runs something once when its time has come."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)
    plans: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.now += seconds
        for plan in [plan for plan in self.plans if plan[0] <= self.now]:
            self.plans.remove(plan)
            plan[1]()

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        """Plan something."""
        self.plans.append((seconds, act))


@dataclass
class Events:
    """A sink that remembers."""

    all: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        """Take an event."""
        self.all.append(event)

    @property
    def reporter(self) -> Reporter:
        """Return a reporter that speaks to this sink."""
        return Reporter(self)

    @property
    def lines(self) -> list[str]:
        """The plain lines, without their indentation."""
        return [event.text.strip() for event in self.all if isinstance(event, Line)]

    @property
    def warnings(self) -> list[str]:
        """The warnings."""
        return [event.text for event in self.all if isinstance(event, Warned)]

    @property
    def finished(self) -> list[str]:
        """The stages that ended well."""
        return [event.stage for event in self.all if isinstance(event, Finished)]

    @property
    def failed(self) -> list[str]:
        """The stages that failed."""
        return [event.stage for event in self.all if isinstance(event, Failed)]


def package_file(folder: Path, package: str, version: str) -> Path:
    """Write the smallest package that a server can tell the name of."""
    path = folder / f"{package}.{version}.nupkg"
    names = f"<id>{package}</id><version>{version}</version>"
    nuspec = f"<package><metadata>{names}</metadata></package>"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{package}.nuspec", nuspec)
    return path


def opened(server: OctopusServer, clock: Clock, space: str = "") -> Octopus:
    """Return a connection to a stand-in that waits by the clock."""
    return connect(Http({}, sleep=clock.sleep), Access(server.url, KEY, space))


SETTINGS = """\
[project]
name = "orders"

[tool.pipeline]
package-id = "Acme.Orders"
base-version = "2.0"
version-strategy = "GitTag"

[tool.pipeline.function]
name = "Orders"
runtime = "python3.13"
architecture = "arm64"
handler = "orders.handler.handle"

[tool.pipeline.environments.CI]
permanent = true

[tool.pipeline.environments.Staging]
permanent = true

[tool.pipeline.octopus]
project = "Orders"
"""
FACTS = FunctionFacts("Orders", "python3.13", "arm64", "orders.handler.handle", "", {}, {})


def project_in(folder: Path, more: str = "") -> Project:
    """Return a project; `more` goes to the end of `[tool.pipeline.octopus]`."""
    (folder / "pyproject.toml").write_text(f"{SETTINGS}{more}", encoding="utf-8")
    return Project.load(folder)


def built(folder: Path, version: str = "2.0.7") -> Path:
    """Return a package as far as a release looks into one: its manifest."""
    path = package_file(folder, "Acme.Orders", version)
    digests = ZipFacts("", "", 0, 0, 0)
    source = Source("a" * 40, "main", dirty=False)
    manifest = Manifest("Acme.Orders", version, source, FACTS, digests, (), (), {})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("build.json", manifest.to_json())
    return path
