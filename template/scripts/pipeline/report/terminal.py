"""The printer for a terminal: colour, and a live line while a stage runs."""

from __future__ import annotations

import re
import textwrap
from functools import partial

from rich.console import Console
from rich.status import Status
from rich.text import Text

from ..core.events import Event, Failed, Finished, Line, Progressed, Started, Warned
from ..core.foreign import harmless
from ..core.text import END_COLUMN, STAGE_WIDTH, event_text, stage_line

# A line of the table, a worker's too: its stage, its text, its end.
_ROW = re.compile(rf"(  .{{{STAGE_WIDTH}}} *)(\S.*?) +(\d+\.\d s|\d+/\d+)")
# A line below a label, like `next`, in no columns.
_BELOW = re.compile(rf"(  (?=[a-z]).{{{STAGE_WIDTH}}} )(?=\S)(?!.* {{3}})(.*)")
# Three blanks or more stand between the columns of other lines.
_COLUMNS = re.compile(r"(?<=\S) {3,}(?=\S)")
_NARROWEST = 20
_TIME = len("12.3 s")
_SPINNER = 2
_wrap = partial(textwrap.wrap, break_long_words=False, break_on_hyphens=False)

# A line of a plan: its label, what changes, from what, to what. Long ones are two lines.
_CHANGE = re.compile(rf"  (.{{{STAGE_WIDTH}}} )(\S.*?: )?(.*?)( *-> )(.*)")
_LABELS = {
    "drift": "yellow", "alarm": "red", "traffic": "yellow", "waiting": "cyan",
    "over": "red", "left": "red", "no stack": "yellow", "stack is": "yellow",
}  # fmt: skip
_LABELLED = re.compile(rf"  ({'|'.join(_LABELS)}) .*", re.DOTALL)


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
                if not (isinstance(event, Failed) and not event.stage):
                    text = fitted(text, self._console.width)
                self._console.print(_coloured(event, text), soft_wrap=True, highlight=False)

    def close(self) -> None:
        """Take the live line away."""
        if self._live:
            self._live.stop()
            self._live = None

    def _show(self, text: str) -> None:
        shown = Text(fitted(text, self._console.width - _SPINNER), style="dim")
        if self._live:
            self._live.update(shown)
        else:
            self._live = self._console.status(shown)
            self._live.start()


def fitted(text: str, width: int) -> str:
    """Return lines of at most `width` columns, where words and the lines' own columns allow that.

    A path or a hash is never cut: who copies it from the terminal gets it whole.
    """
    return "\n".join(part for line in text.splitlines() for part in _parts(line, width))


def _parts(line: str, width: int) -> list[str]:
    if len(line) <= width:
        return [line]
    if row := _ROW.fullmatch(line):
        head, text, end = row.groups()
        room = max(min(END_COLUMN, width - max(len(end), _TIME)) - 1, _NARROWEST)
        rest = " " * (STAGE_WIDTH + 3)
        first, *more = _wrap(text, room, initial_indent=head, subsequent_indent=rest)
        return [f"{first:<{room}} {end}", *more]
    if below := _BELOW.fullmatch(line):
        head, text = below.groups()
        return _wrap(text, width, initial_indent=head, subsequent_indent=" " * len(head))
    first, *columns = _COLUMNS.split(line)
    lines = [first]
    for column in columns:
        together = f"{lines[-1]}   {column}"
        lines[-1:] = [together] if len(together) <= width else [lines[-1], f"    {column}"]
    return lines


def _coloured(event: Event, text: str) -> Text:
    if isinstance(event, Failed) and not event.stage:
        where, colon, rest = text.partition(": ")
        return Text.assemble((where + colon, "bold red"), rest)
    if isinstance(event, Failed):
        return Text(text, style="red")
    if isinstance(event, Warned):
        return Text(text, style="yellow")
    if isinstance(event, Finished):
        head = max(STAGE_WIDTH, len(event.stage)) + 2
        return Text.assemble((text[:head], "green"), text[head:])
    if isinstance(event, Line) and text.startswith("CodeSha256 "):
        return Text(text, style="dim")
    # A row of another process's is a line here.
    if isinstance(event, Line) and not _ROW.fullmatch(text) and (change := _CHANGE.fullmatch(text)):
        label, what, before, arrow, after = change.groups()
        return Text.assemble(
            "  ",
            (label, _LABELS.get(label.strip(), "")),
            what or "",
            (before, "red"),
            (arrow, "dim"),
            (after, "green"),
        )
    if isinstance(event, Line) and (row := _LABELLED.fullmatch(text)):
        return Text(text, style=_LABELS[row[1]])
    return Text(text)
