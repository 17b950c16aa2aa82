"""The terminal: a live line while a stage runs, and in the end the same words as everywhere."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from pipeline.core.errors import PipelineError
from pipeline.core.events import (
    Artifact,
    BuildNumber,
    Event,
    Failed,
    Finished,
    Line,
    Output,
    Progressed,
    Started,
    Warned,
)
from pipeline.core.text import plain_lines
from pipeline.report.terminal import TerminalPrinter
from rich.console import Console

_TOKENS = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n]+)")
ERROR = PipelineError("restore", "no wheel for six", "Lock again.")
GOOD: tuple[Event, ...] = (
    Line("Acme.Orders 2.0.7   main@3f2c1ab, clean"),
    BuildNumber("2.0.7"),
    Started("restore"),
    Progressed("restore", "fetching"),
    Progressed("restore", "fetching", 3, 14),
    Finished("restore", "14 packages, locked", 0.1),
    Warned("a file is not tracked"),
    Line("a detail", verbose=True),
    Started("test"),
    Finished("test", "23 passed", 1.2),
    Output("Url", "x"),
    Artifact("/x/y"),
    Line("    environment A: x -> y -> z"),
    Line("CodeSha256 kL2x0="),
)
BAD: tuple[Event, ...] = (
    Started("restore"),
    Progressed("restore", "fetching"),
    Failed("restore", ERROR),
    Failed("", ERROR),
)


def screen(written: str) -> list[str]:
    """Return the lines that a terminal shows after the text: moves and erasures are carried out."""
    lines, row, column = [""], 0, 0
    for match in _TOKENS.finditer(written):
        _, count, code, carriage, newline, text = match.groups()
        if text:
            lines[row] = lines[row].ljust(column)[:column] + text + lines[row][column + len(text) :]
            column += len(text)
        elif carriage:
            column = 0
        elif newline:
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif code == "A":
            row = max(0, row - int(count or "1"))
        elif code == "K" and count == "2":
            lines[row] = ""
        else:
            assert code in "mhl", match[0]
    return [line.rstrip() for line in lines if line.strip()]


def drawn(
    events: tuple[Event, ...], *, colour: bool = True, verbose: bool = False, width: int = 120
) -> str:
    """Return everything that the printer writes to a terminal."""
    stream = StringIO()
    console = Console(
        file=stream,
        force_terminal=True,
        width=width,
        no_color=not colour,
        legacy_windows=False,
        _environ={"TERM": "xterm"},
    )
    printer = TerminalPrinter(console, verbose=verbose)
    for event in events:
        printer(event)
    printer.close()
    return stream.getvalue()


def plain(events: tuple[Event, ...], *, verbose: bool = False) -> list[str]:
    """Return the lines of the plain printer."""
    return [line.rstrip() for event in events for line in plain_lines(event, verbose=verbose)]


@pytest.mark.parametrize("events", [GOOD, BAD], ids=["good", "bad"])
@pytest.mark.parametrize("colour", [True, False])
def test_the_words_are_those_of_the_plain_printer(
    events: tuple[Event, ...], *, colour: bool
) -> None:
    """What stays on the screen is what a log would hold, with colour or without."""
    assert screen(drawn(events, colour=colour)) == plain(events)


def test_details_are_shown_on_request() -> None:
    """`--verbose` adds the verbose lines; progress stays in the live line."""
    shown = screen(drawn(GOOD, verbose=True))
    assert "a detail" in shown
    assert "a detail" not in screen(drawn(GOOD))


@pytest.mark.parametrize("width", [80, 42])
def test_a_narrow_terminal_keeps_the_table(width: int) -> None:
    """Stages, texts and times stay in their columns, a worker's lines and long names too."""
    long = "tag pipeline:package, tag pipeline:release, tag pipeline:commit"
    events: tuple[Event, ...] = (
        Line("Acme.Orders 2.0.7   main@3f2c1ab, clean   python3.13 arm64"),
        Finished("restore", "14 packages, locked, from cache", 0.1),
        Finished("tag", long, 12.3),
        Line(f"  upload    {long} 0.7 s"),
        Finished("deploy Production", "2 releases", 9.0),
        Failed("deploy Production", ERROR),
    )
    shown = screen(drawn(events, width=width))
    assert max(map(len, shown)) <= width
    assert {text for line in shown if (text := line[2:11].strip())} >= {"restore", "tag", "upload"}
    assert len({line.rindex(" ", 0, -2) for line in shown if line.endswith(" s")}) == 1
    words = " ".join(" ".join(shown).split())
    assert "2.0.7 main@3f2c1ab, clean python3.13 arm64 restore 14 packages" in words
    assert shown[-1] == "  deploy Production failed"
    assert re.search(r"  deploy Production 2 releases +9\.0 s", "\n".join(shown))


def test_a_path_is_never_cut() -> None:
    """A long path or hash stays in one piece for whoever copies it."""
    path = "build-output/2.0.0-p26327-21834/Acme.Orders.2.0.0-p26327-21834.nupkg"
    assert screen(drawn((Line(f"{path}   1.4 MB"),), width=42)) == [path, "    1.4 MB"]


def test_what_stands_below_a_label_stays_there() -> None:
    """A long line with a label goes on below its text, and lines after it stand there too."""
    command = "`python3 tasks.py local.invoke --event tests/events/put.json`"
    events = (Line(f"  next      {command} calls the function"), Line("            and more"))
    first, *others = screen(drawn(events, width=80))
    assert first == f"  next      {command} calls"
    assert others == ["            the function", "            and more"]


def test_a_running_stage_is_seen_and_then_gone() -> None:
    """The live line says what goes on; with the stage's end it is away and the cursor is back."""
    written = drawn((Started("restore"), Progressed("restore", "fetching", 3, 14)))
    assert "fetching" in written
    assert screen(written) == []
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")


def test_a_change_shows_what_goes_and_what_comes() -> None:
    """In a line of a plan the value before is red and the value after green."""
    lines = (
        "  upload    code: old -> new",
        "              -> longer",
        "  drift     live: 1 -> 2",
        "  plan      live: version 3 -> version 1                                 0.0 s",
    )
    coloured = re.findall(r"\x1b\[(\d+)m([^\x1b]+)", drawn(tuple(map(Line, lines))))
    assert {("31", "old"), ("32", "new"), ("32", "longer")} <= set(coloured)
    assert [text.strip() for code, text in coloured if code == "33"] == ["drift"]
    assert {code for code, text in coloured if "0.0 s" in text} == {"0"}


def test_rows_of_a_status_stand_out() -> None:
    """All lines of a long one do, and what is as it should be has no colour."""
    written = drawn((Line("  waiting   2.0.9\n            is there"), Line("  code      x")))
    coloured = re.findall(r"\x1b\[36m([^\x1b]+)", written)
    assert "".join(coloured).split() == ["waiting", "2.0.9", "is", "there"]


def test_no_colour_means_none() -> None:
    """Without colour no colour code is written, in the live line neither."""
    codes = re.findall(r"\x1b\[([0-9;]*)m", drawn(GOOD + BAD, colour=False))
    colours = {str(code) for code in (*range(30, 50), *range(90, 108))}
    assert not [code for code in codes if set(code.split(";")) & colours]


@pytest.mark.parametrize("text", ["[bold]x[/bold]", "[/]", "a [b] c", ":smile:"])
def test_markup_in_a_text_is_text(text: str) -> None:
    """What a user or a package is called never becomes a style, nor an error."""
    events: tuple[Event, ...] = (Started(text), Progressed(text, text), Line(text), Warned(text))
    assert screen(drawn(events)) == plain(events)
