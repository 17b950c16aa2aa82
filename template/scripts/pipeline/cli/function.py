"""The verbs that look into a package and run it: inspect, run."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from invoke import Exit

from ..core.errors import UsageError
from ..core.events import Failed
from ..edge.files import decoded
from .session import Session, verb

if TYPE_CHECKING:
    from ..runtime.invocation import Invocation

# Where debuggers of Node look for one.
_INSPECTOR = "127.0.0.1:9229"


@verb({"package": "The package; the last build's by default"})
def inspect(run: Session, package: str | None = None) -> None:
    """Show what is in a package, ours or not, without unpacking it."""
    from ..verbs.inspect import inspect_package, refusal
    from ..verbs.last_build import chosen_package

    found = inspect_package(chosen_package(package, run.root))
    width = min(80, shutil.get_terminal_size().columns)
    run.result("\n".join(found.lines(width)), found.document())
    if refused := refusal(found):
        run.reporter.emit(Failed("", refused))
        raise Exit(code=refused.exit_code)


@verb(
    {
        "package": "The package; the last build's by default",
        "event": "A file with the event, standard input without it; repeated, one process runs all",
        "watch": "Run the files in src instead, without a build, again at each save until Ctrl-C",
        "inspect": "Let a function in Node wait for a debugger",
    },
    iterable=["event"],
)
def run(
    session: Session,
    event: list[str],
    package: str | None = None,
    watch: bool = False,
    inspect: bool = False,
) -> None:
    """Run the packaged function on this machine, under AWS's own runtime client."""
    from ..verbs.run import run

    terminal = _INSPECTOR if inspect else _terminal(session)
    if inspect:
        if not session.project.function.runtime.has_inspector:
            what = f"on {session.project.function.runtime.name} no function waits for a debugger"
            then = "Leave it out: in a terminal `breakpoint()` stops there."
            raise UsageError("--inspect", what, then)
        session.reporter.line(f"  debugger  the function will wait for one on {_INSPECTOR}")
    if watch:
        _watch(session, event, package, terminal)
    events = events_of(session, event)
    done = run(session.project, package, events, session.machine, session.reporter, terminal)
    session.answer = {"invocations": [document(invocation) for invocation in done]}
    if any(invocation.error for invocation in done):
        raise Exit(code=1)


def _watch(run: Session, event: list[str], package: str | None, terminal: str) -> NoReturn:
    from ..verbs.watch import Watched, watch

    if package or run.json:
        what = "it runs the files in src, not a package" if package else "it never has an answer"
        raise UsageError("--watch", what, f"Leave out {package or '--json'}.")
    given = () if event else (_standard_input(run.root),)
    run.machine.tooling("local")
    watched = Watched(tuple(map(Path, event)), given, terminal)
    watch(watched, run.machine, run.reporter, time.sleep)


def events_of(run: Session, files: list[str]) -> list[bytes]:
    """Return the events in files, or else the one on standard input."""
    from ..verbs.run import read_event

    return [read_event(Path(name)) for name in files] or [_standard_input(run.root)]


def _terminal(run: Session) -> str:
    """Return the device of the terminal that a person reads, for a debugger; empty without one."""
    if run.json or not sys.stderr.isatty() or not hasattr(os, "ttyname"):
        return ""
    return os.ttyname(sys.stderr.fileno())


def _standard_input(root: Path) -> bytes:
    from ..verbs.local import sample_event

    if sys.stdin is None or sys.stdin.isatty():
        known = sample_event(root)
        then = f"Pass one: --event {known}" if known else "Pass a JSON file with --event."
        raise UsageError("--event", "there is no event", then)
    return decoded(sys.stdin.buffer.read(), "standard input").encode()


def document(invocation: Invocation) -> dict[str, object]:
    """Return what `--json` prints of an invocation."""
    try:
        answer = json.loads(invocation.payload)
    except ValueError:
        answer = invocation.payload.decode("utf-8", "replace")
    return {"answer": answer, "error": invocation.error, "log": invocation.readable_log()}
