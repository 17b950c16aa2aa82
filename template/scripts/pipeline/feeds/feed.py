"""What every feed can do: tell what it has under a version, and take a package."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ..package.contents import Package

Progress = Callable[[int, int], None]


class State(enum.Enum):
    """What a feed has under a package's id and version."""

    ABSENT = "nothing"
    SAME = "the same package"
    OTHER = "another package"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Found:
    """A look into a feed; `why` says what differs, or why nothing could be seen."""

    state: State
    why: str = ""


ABSENT = Found(State.ABSENT)
SAME = Found(State.SAME)


class Feed(Protocol):
    """A place that packages are published to, and never replaced in."""

    @property
    def name(self) -> str:
        """The feed as messages name it."""

    def find(self, package: Package) -> Found:
        """Look what is there. Raises PipelineError where the feed cannot be reached."""

    def send(self, package: Package, progress: Progress) -> bool:
        """Send the package once; False where the feed says that it has that version.

        Raises NoAnswerError where it is unknown whether it arrived.
        """
