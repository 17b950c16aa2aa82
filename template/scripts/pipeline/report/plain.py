"""The printer for places without a terminal: plain lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .events import Event, Line, Progressed
from .words import words

__all__ = ["PlainPrinter"]


@dataclass(frozen=True)
class PlainPrinter:
    """A sink that writes lines with `write`; details and progress only when `verbose`."""

    write: Callable[[str], None]
    verbose: bool = False

    def __call__(self, event: Event) -> None:
        """Write an event's line, if it has one."""
        detail = isinstance(event, Progressed) or (isinstance(event, Line) and event.verbose)
        text = words(event)
        if text is not None and (self.verbose or not detail):
            self.write(text)
