"""The text of an event, the same in every printer."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Sequence

from .errors import PipelineError
from .events import Achieved, Event, Failed, Finished, Line, Output, Progressed, Sink, Warned
from .foreign import harmless

# A line of the table: the stage, its text, and at the end how long it took.
STAGE_WIDTH = 9
END_COLUMN = 73
_KILO = 1 << 10
_SHOWN = 100
_SPAN = re.compile(r"([0-9]{1,5})(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
# TOML can spell them; no process, no XML and no API takes them. Tabs and line ends are text.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def event_text(event: Event) -> str | None:
    """Return an event as plain lines, or None for those that only some printers show.

    The lines are safe to show: texts may hold parts that others wrote.
    """
    text = _text(event)
    return None if text is None else harmless(text)


def _text(event: Event) -> str | None:
    if isinstance(event, (Line, Warned, Achieved)):
        return f"warning: {event.text}" if isinstance(event, Warned) else event.text
    if isinstance(event, Finished):
        return stage_line(event.stage, event.text, f"{event.seconds:.1f} s")
    if isinstance(event, Progressed):
        count = f"{event.done}/{event.total}" if event.total else ""
        return stage_line(event.stage, event.text, count)
    if isinstance(event, Failed):
        return stage_line(event.stage, "failed", "") if event.stage else str(event.error)
    if isinstance(event, Output):
        return stage_line("", f"{event.name} = {event.value}", "")
    return None


def plain_lines(event: Event, *, verbose: bool) -> list[str]:
    """Return an event's lines, if it has any; details and progress only when `verbose`."""
    detail = isinstance(event, Progressed) or (isinstance(event, Line) and event.verbose)
    text = event_text(event)
    if text is None or (detail and not verbose):
        return []
    return text.splitlines() or [""]


def line_sink(write: Callable[[str], None], lines: Callable[[Event], Iterable[str]]) -> Sink:
    """Return a sink that gives each of an event's `lines` to `write`."""

    def sink(event: Event) -> None:
        for line in lines(event):
            write(line)

    return sink


def stage_line(stage: str, text: str, end: str) -> str:
    """Return a line of the table that a verb's stages make."""
    row = f"  {stage:<{STAGE_WIDTH}} {text}"
    return f"{row:<{END_COLUMN - 1}} {end}".rstrip()


def aligned(rows: Sequence[Sequence[str]], gap: str = "   ") -> list[str]:
    """Return rows of texts as lines whose columns are as wide as their longest text."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [gap.join(map(str.ljust, row, widths)).rstrip() for row in rows]


def control_in(text: str) -> str:
    """Name the control character that a text of settings holds, or return ""."""
    found = _CONTROL.search(text)
    return f"the control character {found[0]!r}" if found else ""


def quoted(text: str) -> str:
    """Return a text of others as messages quote it: it cannot steer a terminal, or fill it."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def few(names: Collection[str], most: int = 3) -> str:
    """Return the first names in words: `a, b, c and 184 more`; a sequence keeps its order."""
    more, ordered = len(names) - most, names if isinstance(names, Sequence) else sorted(names)
    return ", ".join(ordered[:most]) + (f" and {more} more" if more > 0 else "")


def counted(count: int, name: str) -> str:
    """Return a number of things in words: `1 file`, `2 files`."""
    return f"{count} {name}{'' if count == 1 else 's'}"


def readable_size(count: int) -> str:
    """Return a number of bytes for people: 1 kB is 1024 bytes, 1 MB 1024 kB, as AWS counts."""
    if count < _KILO:
        return f"{count} bytes"
    size, unit = next(
        (count / _KILO**power, unit)
        for power, unit in ((3, "GB"), (2, "MB"), (1, "kB"))
        if count >= _KILO**power
    )
    return f"{size:.1f} {unit}"


def seconds_of(key: str, text: str) -> float:
    """Read a span like 800ms, 2s or 15m, in seconds. Raises PipelineError that is at `key`."""
    found = _SPAN.fullmatch(text)
    if not found:
        raise PipelineError(key, f"{text!r} is not a span", "Write it like 800ms, 2s or 15m.")
    return int(found[1]) * _SECONDS[found[2]]


def span(seconds: float) -> str:
    """Return seconds as `90s`, `15m` or `2h`, whatever says it whole."""
    whole = math.ceil(seconds)
    unit = next(unit for unit in "hms" if whole % _SECONDS[unit] == 0)
    return f"{whole // _SECONDS[unit]}{unit}"
