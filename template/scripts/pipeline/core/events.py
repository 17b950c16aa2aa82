"""What happens while a verb runs, as values; printers turn them into lines.

Verbs only ever talk to a `Reporter`. It times stages with the clock it is given and passes
every event to one sink: a terminal, TeamCity's service messages, an Octopus worker's log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .errors import PipelineError


@dataclass(frozen=True)
class Started:
    """A stage began."""

    stage: str


@dataclass(frozen=True)
class Progressed:
    """A stage got further: `done` of `total` (0 when unknown), in whatever `text` names."""

    stage: str
    text: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Finished:
    """A stage ended well, after `seconds`."""

    stage: str
    text: str
    seconds: float


@dataclass(frozen=True)
class Failed:
    """A stage, or the verb itself, ended with a known error."""

    stage: str
    error: PipelineError


@dataclass(frozen=True)
class Line:
    """A plain line for the reader; `verbose` ones are shown on request only."""

    text: str
    verbose: bool = False


@dataclass(frozen=True)
class Warned:
    """Something the reader should know although the work goes on."""

    text: str


@dataclass(frozen=True)
class Achieved:
    """What a verb brought about in the end, for places that show one line of it at a glance."""

    text: str


@dataclass(frozen=True)
class BuildNumber:
    """The version this build has, for build servers that show it."""

    text: str


@dataclass(frozen=True)
class Artifact:
    """A file worth keeping, by absolute path."""

    path: str


@dataclass(frozen=True)
class TestResults:
    """A JUnit XML file, by absolute path."""

    path: str


@dataclass(frozen=True)
class Output:
    """A named result that later steps of a deployment may read."""

    name: str
    value: str


Event = (
    Started
    | Progressed
    | Finished
    | Failed
    | Line
    | Warned
    | Achieved
    | BuildNumber
    | Artifact
    | TestResults
    | Output
)
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
    """The one way a verb speaks: whatever it says goes to `emit` as an event.

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
