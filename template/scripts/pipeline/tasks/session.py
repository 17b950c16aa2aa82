"""What a task runs in: the project, the machine, and a reporter; and how a verb ends.

With `--json` standard output has one document.
"""

from __future__ import annotations

import json as json_format
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bootstrap
from invoke import Context

from ..errors import PipelineError
from .printers import printer, show

# `invoke --list` imports this file, and need not wait for what only a verb needs.
if TYPE_CHECKING:
    from ..edge.machine import Machine
    from ..report.events import Reporter
    from ..values.project import Project

__all__ = ["COMMON", "Ended", "Session", "root_of", "session"]

# The flags that every verb has, for its help.
COMMON = {"json": "One JSON document on standard output", "verbose": "More lines"}
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
    json: bool
    answer: dict[str, Any]
    secrets: list[str]

    def hide(self, secret: str) -> None:
        """Keep a secret that is not in the environment out of all that is said from now on."""
        from ..report.events import Reporter
        from ..report.masking import masked

        self.secrets.append(secret)
        self.reporter = Reporter(masked(self.reporter.emit, [secret]), self.reporter.seconds)

    def result(self, text: str, answer: dict[str, Any]) -> None:
        """Show a verb's one-line result, which `--json` prints as a document instead."""
        self.answer = answer
        if not self.json:
            show(sys.stdout, text)

    @cached_property
    def project(self) -> Project:
        """The repository's settings."""
        from ..values.project import Project

        return Project.load(self.root)

    @cached_property
    def machine(self) -> Machine:
        """The machine that the verb runs on."""
        from ..edge.machine import Machine, utc_now

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

    sink, close = printer(json=json, verbose=verbose)
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
        show(sys.stdout, masked_text(document, secrets))
    if code:
        raise Ended(code)


def _tooling(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except bootstrap.BootstrapError as error:
        raise PipelineError("setup", str(error)) from error
