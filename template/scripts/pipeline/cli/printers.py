"""Which printer speaks here: on a terminal, on each build server, and in plain lines elsewhere.

People read standard error on a terminal; a build server shows errors written there as failures,
so on one the same lines go to standard output.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

# `--list` imports this file, and need not wait for what only a verb needs.
if TYPE_CHECKING:
    from ..core.events import Event, Sink

_Write = Callable[[str], None]


def printer(*, json: bool, verbose: bool) -> tuple[Sink, Callable[[], None]]:
    """Return the printer for the place this process runs in, and what ends its work."""
    from ..core.text import line_sink, plain_lines
    from ..project.buildserver import BuildServer

    server = BuildServer.from_environ(os.environ).name
    if server and not json:
        return _server_printer(server, writer(sys.stdout), os.environ, verbose=verbose)
    stream = sys.stderr
    if stream.isatty() and not server and os.environ.get("TERM") != "dumb":
        from rich.console import Console

        from ..report.terminal import TerminalPrinter

        terminal = TerminalPrinter(Console(file=stream), verbose=verbose)
        return terminal, terminal.close
    return line_sink(writer(stream), partial(plain_lines, verbose=verbose)), _nothing


def _server_printer(
    name: str, write: _Write, environ: Mapping[str, str], *, verbose: bool
) -> tuple[Sink, Callable[[], None]]:
    from ..core.text import line_sink, plain_lines
    from ..report.grouped import GroupedPrinter

    if name == "TeamCity":
        from ..report.teamcity import teamcity_lines

        return line_sink(write, partial(teamcity_lines, verbose=verbose)), _nothing
    if name == "GitHub Actions":
        return _github(write, environ, verbose=verbose)
    if name == "GitLab CI":
        from ..report.gitlab import gitlab

        sections = GroupedPrinter(write, gitlab(time.time), verbose)
        return sections, sections.close
    if name == "Azure Pipelines":
        from ..report.azure import AZURE

        groups = GroupedPrinter(write, AZURE, verbose)
        return groups, groups.close
    # Jenkins takes tests and artifacts from the Jenkinsfile, and has nothing in a log to act on.
    return line_sink(write, partial(plain_lines, verbose=verbose)), _nothing


def _github(
    write: _Write, environ: Mapping[str, str], *, verbose: bool
) -> tuple[Sink, Callable[[], None]]:
    from ..report.github import GITHUB, GitHubFiles
    from ..report.grouped import GroupedPrinter

    printer = GroupedPrinter(write, GITHUB, verbose)
    files = GitHubFiles(
        _appending(environ.get("GITHUB_OUTPUT")), _appending(environ.get("GITHUB_STEP_SUMMARY"))
    )

    def sink(event: Event) -> None:
        printer(event)
        files(event)

    def close() -> None:
        printer.close()
        files.close()

    return sink, close


def _appending(path: str | None) -> _Write:
    def append(text: str) -> None:
        if path:
            with Path(path).open("a", encoding="utf-8", newline="\n") as file:
                file.write(text)

    return append


def writer(stream: TextIO) -> _Write:
    """Return what writes lines to a stream; one that nobody can read is no reason to stop."""

    def write(line: str) -> None:
        with suppress(OSError):
            show(stream, line)

    return write


def show(stream: TextIO, text: str) -> None:
    """Write text and a line's end. After an OSError the stream takes anything, and drops it."""
    try:
        stream.write(text + "\n")
        stream.flush()
    except OSError as error:
        error.filename = stream.name
        # Else Python, which writes the rest at its end, would fail there once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise


def _nothing() -> None:
    pass
