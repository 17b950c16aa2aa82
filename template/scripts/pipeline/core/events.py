"""What happens while a verb runs, as values; printers turn them into lines.

Verbs talk to a `Reporter` only. It times stages and passes every event to one sink.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .errors import PipelineError


@dataclass(frozen=True)
class Event:
    """Something that happened."""


@dataclass(frozen=True)
class Started(Event):
    """A stage began."""

    stage: str


@dataclass(frozen=True)
class Progressed(Event):
    """A stage got further: `done` of `total` (0 when unknown), in whatever `text` names."""

    stage: str
    text: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Finished(Event):
    """A stage ended well, after `seconds`."""

    stage: str
    text: str
    seconds: float


@dataclass(frozen=True)
class Failed(Event):
    """A stage, or the verb itself, ended with a known error."""

    stage: str
    error: PipelineError


@dataclass(frozen=True)
class Line(Event):
    """A plain line for the reader; `verbose` ones are shown on request only."""

    text: str
    verbose: bool = False


@dataclass(frozen=True)
class _Text(Event):
    text: str


class Warned(_Text):
    """Something the reader should know although the work goes on."""


class Achieved(_Text):
    """The result of a verb in one line, for places that show no more."""


class BuildNumber(_Text):
    """The version this build has, for build servers that show it."""


@dataclass(frozen=True)
class _File(Event):
    path: str


@dataclass(frozen=True)
class Artifact(_File):
    """A file worth keeping, by absolute path; `size` in bytes, 0 where it does not matter."""

    size: int = 0


class TestResults(_File):
    """A JUnit XML file, by absolute path."""


@dataclass(frozen=True)
class Output(Event):
    """A named result that later steps of a deployment may read."""

    name: str
    value: str


Sink = Callable[[Event], None]


@dataclass
class Stage:
    """A stage that is under way: set `text` to what it achieved."""

    name: str
    emit: Sink
    text: str = ""

    def progress(self, text: str, done: int = 0, total: int = 0) -> None:
        """Say how far the stage is."""
        self.emit(Progressed(self.name, text, done, total))


@dataclass(frozen=True)
class Reporter:
    """What a verb reports to: everything goes to `emit` as an event.

    `seconds` is a monotonic clock. Nothing is printed here.
    """

    emit: Sink
    seconds: Callable[[], float] = field(default=lambda: 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Announce a stage, time it, and announce its end; a known error marks it failed."""
        self.emit(Started(name))
        start = self.seconds()
        stage = Stage(name, self.emit)
        try:
            yield stage
        except PipelineError as error:
            self.emit(Failed(name, error))
            raise
        self.emit(Finished(name, stage.text, self.seconds() - start))

    def line(self, text: str, *, verbose: bool = False) -> None:
        """Show a line."""
        self.emit(Line(text, verbose))

    def warn(self, text: str) -> None:
        """Show a warning."""
        self.emit(Warned(text))
