"""What the tests of the Octopus client share."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.report.events import Event, Failed, Finished, Line, Reporter, Warned

__all__ = ["Clock", "Events", "package_file"]


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
