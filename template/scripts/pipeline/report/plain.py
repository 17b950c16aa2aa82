"""The printer for places without a terminal: plain lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .events import Event, Line, Progressed
from .words import words

__all__ = ["PlainPrinter", "plain_lines"]


def plain_lines(event: Event, *, verbose: bool) -> list[str]:
    """Return an event's lines, if it has any; details and progress only when `verbose`."""
    detail = isinstance(event, Progressed) or (isinstance(event, Line) and event.verbose)
    text = words(event)
    if text is None or (detail and not verbose):
        return []
    return text.splitlines() or [""]


@dataclass(frozen=True)
class PlainPrinter:
    """A sink that writes lines with `write`; details and progress only when `verbose`."""

    write: Callable[[str], None]
    verbose: bool = False

    def __call__(self, event: Event) -> None:
        """Write an event's lines."""
        for line in plain_lines(event, verbose=self.verbose):
            self.write(line)
