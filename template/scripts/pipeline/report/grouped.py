"""The printer for build servers that fold a log into groups; what differs is a `Style`.

Only outermost stages become groups: GitHub Actions and Azure Pipelines do not nest them. A
stage's result stands below its group, where it is seen while the group is folded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ..core.events import Event, Failed, Finished, Started
from ..core.foreign import harmless
from ..core.text import plain_lines


class Style(Protocol):
    """How one build server wants it."""

    def opening(self, stage: str) -> str:
        """Return the line that opens a group."""

    def closing(self) -> str:
        """Return the line that closes it."""

    def special(self, event: Event) -> list[str] | None:
        """Return the lines of an event that the server has a form for; None for the others."""


@dataclass
class GroupedPrinter:
    """A sink that writes lines with `write`; `close` ends what a crash has left open."""

    write: Callable[[str], None]
    style: Style
    verbose: bool = False
    _stages: list[str] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        """Write an event's lines, and those of the group that it begins or ends."""
        if isinstance(event, Started):
            self._stages.append(event.stage)
            if len(self._stages) == 1:
                self.write(self.style.opening(" ".join(harmless(event.stage).split())))
        if isinstance(event, Finished) or (isinstance(event, Failed) and event.stage):
            self._end()
        lines = self.style.special(event)
        if lines is None:
            lines = plain_lines(event, verbose=self.verbose)
        for line in lines:
            self.write(line)

    def close(self) -> None:
        """Close the group that is still open."""
        while self._stages:
            self._end()

    def _end(self) -> None:
        if self._stages:
            self._stages.pop()
            if not self._stages:
                self.write(self.style.closing())
