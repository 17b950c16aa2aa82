"""What a task runs in: the project, the machine, and a reporter that speaks to this place.

People read standard error on a terminal; a build server shows errors written there as failures,
so on one the same lines go to standard output. With `--json` standard output has one document.
"""

from __future__ import annotations

import json as json_format
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import bootstrap
from invoke import Context

from ..errors import PipelineError
from .printers import Write, server_printer

# `invoke --list` imports this file, and need not wait for what only a verb needs.
if TYPE_CHECKING:
    from ..edge.machine import Machine
    from ..report.events import Reporter, Sink
    from ..values.project import Project

__all__ = ["Ended", "Session", "root_of", "session"]

_SECRETS = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "NUGET_API_KEY",
    "OCTOPUS_API_KEY",
    "PIPELINE_SIGNING_KEY",
)


class Ended(Exception):  # noqa: N818 - the end of a verb, not always an error
    """A verb that has said all there is to say; the Program exits with `code`."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Session:
    """One verb's run. `answer` is the document that `--json` prints."""

    root: Path
    reporter: Reporter
    json: bool = False
    answer: dict[str, Any] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)

    def hide(self, secret: str) -> None:
        """Keep a secret that is not in the environment out of all that is said from now on."""
        from ..report.events import Reporter
        from ..report.masking import masked

        self.secrets.append(secret)
        self.reporter = Reporter(masked(self.reporter.sink, [secret]), self.reporter.seconds)

    def result(self, text: str, answer: dict[str, Any]) -> None:
        """Show a verb's one-line result, which `--json` prints as a document instead."""
        self.answer = answer
        if not self.json:
            sys.stdout.write(text + "\n")

    @cached_property
    def project(self) -> Project:
        """The repository's settings."""
        from ..values.project import Project

        return Project.load(self.root)

    @cached_property
    def machine(self) -> Machine:
        """The machine that the verb runs on."""
        from ..edge.clock import utc_now
        from ..edge.machine import Machine

        return Machine(
            root=self.root,
            cache=self.root / ".pipeline" / "cache",
            environ=os.environ,
            now=utc_now,
            seconds=time.monotonic,
            uv_program=lambda: _tooling(bootstrap.find_uv, self.root),
            tooling=lambda name: _tooling(bootstrap.ensure, self.root, name),
        )


def root_of(context: Context) -> Path:
    """Return the repository that a task was started for."""
    return Path(context.config.pipeline.root)


@contextmanager
def session(root: Path, *, json: bool, verbose: bool) -> Iterator[Session]:
    """Give a task its session; print its answer or its error, and end the verb."""
    from ..report.events import Failed, Reporter
    from ..report.masking import masked, masked_text

    sink, close = _printer(json=json, verbose=verbose)
    secrets = [value for name in _SECRETS if (value := os.environ.get(name))]
    running = Session(root, Reporter(masked(sink, secrets), time.monotonic), json, {}, secrets)
    code = 0
    try:
        yield running
    except PipelineError as error:
        running.reporter.emit(Failed("", error))
        running.answer = {"error": {"where": error.where, "what": error.what, "then": error.then}}
        code = error.exit_code
    except Ended as end:
        code = end.code
    finally:
        close()
    if json:
        document = json_format.dumps(running.answer, indent=2, ensure_ascii=False)
        sys.stdout.write(masked_text(document, secrets) + "\n")
    if code:
        raise Ended(code)


def _tooling(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except bootstrap.BootstrapError as error:
        raise PipelineError("setup", str(error)) from error


def _printer(*, json: bool, verbose: bool) -> tuple[Sink, Callable[[], None]]:
    from ..report.plain import PlainPrinter
    from ..values.buildserver import BuildServer

    server = BuildServer.from_environ(os.environ).name
    if server and not json:
        return server_printer(server, _writer(sys.stdout), os.environ, verbose=verbose)
    stream = sys.stderr
    if stream.isatty() and not server and os.environ.get("TERM") != "dumb":
        from rich.console import Console

        from ..report.terminal import TerminalPrinter

        printer = TerminalPrinter(Console(file=stream), verbose=verbose)
        return printer, printer.close
    return PlainPrinter(_writer(stream), verbose=verbose), _nothing


def _writer(stream: TextIO) -> Write:
    def write(line: str) -> None:
        stream.write(line + "\n")
        stream.flush()

    return write


def _nothing() -> None:
    pass
