"""The printer for build servers that fold a log into groups; a `Style` says how each does it.

Only outermost stages become groups: GitHub Actions and Azure Pipelines do not nest them. A
stage's result stands below its group, where it is seen while the group is folded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..core.events import Event, Failed, Finished, Started
from ..core.foreign import harmless
from ..core.text import plain_lines


@dataclass(frozen=True)
class Style:
    """What one build server reads: the lines that open and close a group, and its own messages.

    `messages` returns the lines of an event that the server has a form for, None for others.
    """

    opening: Callable[[str], str]
    closing: Callable[[], str]
    messages: Callable[[Event], list[str] | None] = lambda _event: None


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
        lines = self.style.messages(event)
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
