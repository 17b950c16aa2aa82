"""The printer for a terminal: colour, and a live line while a stage runs."""

from __future__ import annotations

import re

from rich.console import Console
from rich.status import Status
from rich.text import Text

from ..core.events import Event, Failed, Finished, Line, Progressed, Started, Warned
from ..core.foreign import harmless
from ..core.text import event_text, stage_line

# A line of a plan: what changes, from what, to what.
_CHANGE = re.compile(r"(    \S.*?: )(.*)( -> )(.*)")


class TerminalPrinter:
    """A sink that draws on a rich console; the words are those of the plain printer."""

    def __init__(self, console: Console, *, verbose: bool = False) -> None:
        self._console = console
        self._verbose = verbose
        self._live: Status | None = None

    def __call__(self, event: Event) -> None:
        """Draw an event."""
        if isinstance(event, Started):
            self._show(harmless(stage_line(event.stage, "", "")))
        elif isinstance(event, Progressed):
            self._show(event_text(event) or "")
        elif not (isinstance(event, Line) and event.verbose and not self._verbose):
            if isinstance(event, (Finished, Failed)):
                self.close()
            text = event_text(event)
            if text is not None:
                self._console.print(_coloured(event, text), soft_wrap=True, highlight=False)

    def close(self) -> None:
        """Take the live line away."""
        if self._live:
            self._live.stop()
            self._live = None

    def _show(self, text: str) -> None:
        if self._live:
            self._live.update(Text(text, style="dim"))
        else:
            self._live = self._console.status(Text(text, style="dim"))
            self._live.start()


def _coloured(event: Event, text: str) -> Text:
    if isinstance(event, Failed) and not event.stage:
        where, colon, rest = text.partition(": ")
        return Text.assemble((where + colon, "bold red"), rest)
    if isinstance(event, Failed):
        return Text(text, style="red")
    if isinstance(event, Warned):
        return Text(text, style="yellow")
    if isinstance(event, Finished):
        head, tail = text[:12], text[12:]
        return Text.assemble((head, "green"), tail)
    if isinstance(event, Line) and text.startswith("CodeSha256 "):
        return Text(text, style="dim")
    if isinstance(event, Line) and (change := _CHANGE.fullmatch(text)):
        what, before, arrow, after = change.groups()
        return Text.assemble(what, (before, "red"), (arrow, "dim"), (after, "green"))
    return Text(text)
