"""Which printer speaks here: on a terminal, on each build server, and in plain lines elsewhere.

People read standard error on a terminal; a build server shows errors written there as failures,
so on one the same lines go to standard output.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ..core.events import Event, Sink
from ..core.text import line_sink, plain_lines

# `--list` imports this file; what only a verb needs is imported later.
if TYPE_CHECKING:
    from ..report.function_log import Part
    from ..report.servers import Style

_Write = Callable[[str], None]


def printer(closing: ExitStack, *, json: bool, verbose: bool) -> Sink:
    """Return the printer for the place this process runs in; `closing` gets what ends its work."""
    from ..project.buildserver import BuildServer

    server = BuildServer.from_environ(os.environ).name
    if server and not json:
        return _server_printer(server, writer(sys.stdout), os.environ, closing, verbose=verbose)
    stream = sys.stderr
    if stream.isatty() and not server and os.environ.get("TERM") != "dumb":
        from rich.console import Console

        from ..report.terminal import TerminalPrinter

        terminal = TerminalPrinter(Console(file=stream), verbose=verbose)
        closing.callback(terminal.close)
        return terminal
    return line_sink(writer(stream), partial(plain_lines, verbose=verbose))


def _server_printer(
    name: str, write: _Write, environ: Mapping[str, str], closing: ExitStack, *, verbose: bool
) -> Sink:
    from ..report.servers import AZURE, GITHUB, GitHubFiles, GroupedPrinter, gitlab
    from ..report.teamcity import teamcity_lines

    styles: dict[str, Style] = {
        "GitHub Actions": GITHUB,
        "GitLab CI": gitlab(time.time),
        "Azure Pipelines": AZURE,
    }
    if name not in styles:
        # Jenkins takes tests and artifacts from the Jenkinsfile, and acts on nothing in a log.
        lines = teamcity_lines if name == "TeamCity" else plain_lines
        return line_sink(write, partial(lines, verbose=verbose))
    grouped = GroupedPrinter(write, styles[name], verbose)
    closing.callback(grouped.close)
    if name != "GitHub Actions":
        return grouped
    files = GitHubFiles(
        _appending(environ.get("GITHUB_OUTPUT")), _appending(environ.get("GITHUB_STEP_SUMMARY"))
    )
    closing.callback(files.close)

    def both(event: Event) -> None:
        grouped(event)
        files(event)

    return both


def _appending(path: str | None) -> _Write:
    def append(text: str) -> None:
        if path:
            with Path(path).open("a", encoding="utf-8", newline="\n") as file:
                file.write(text)

    return append


def writer(stream: TextIO) -> _Write:
    """Return what writes lines to a stream; a stream that cannot be written stops nothing."""

    def write(line: str) -> None:
        with suppress(OSError):
            show(stream, line)

    return write


def part_writer(masked: Callable[[str], str]) -> Callable[[Iterable[Part]], None]:
    """Return what writes a line of parts to standard output, in colour where that is a terminal."""
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return lambda parts: show(sys.stdout, masked("".join(text for text, _ in parts)))
    from rich.console import Console
    from rich.text import Text

    console = Console(file=sys.stdout)

    def write(parts: Iterable[Part]) -> None:
        line = Text.assemble(*((masked(text), style) for text, style in parts))
        console.print(line, soft_wrap=True, highlight=False)

    return write


def show(stream: TextIO, text: str) -> None:
    """Write a line. After an OSError, which this raises, the stream drops everything."""
    try:
        stream.write(text + "\n")
        stream.flush()
    except OSError as error:
        error.filename = stream.name
        # Python flushes the stream when it ends, and would fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise
