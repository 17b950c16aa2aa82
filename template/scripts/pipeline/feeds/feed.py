"""What every feed can do: tell what it has under a version, and take a package."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..package.contents import Package

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Candidate:
    """A package file that is to be published: the identity in its nuspec, its size in bytes."""

    path: Path
    id: str
    version: str
    size: int

    @classmethod
    def of(cls, package: Package) -> Candidate:
        """Return a package that was opened."""
        return cls(package.path, package.id, package.version, package.size)

    @property
    def file_name(self) -> str:
        """The file name that feeds and Octopus read id and version from."""
        return f"{self.id}.{self.version}.nupkg"

    def digest(self, algorithm: str) -> bytes:
        """Return a digest of the file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, algorithm).digest()


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

    def find(self, package: Candidate) -> Found:
        """Look what is there. Raises PipelineError where the feed cannot be reached."""

    def send(self, package: Candidate, progress: Progress) -> bool:
        """Send the package once; False where the feed says that it has that version.

        Raises NoAnswerError where it is unknown whether it arrived.
        """
