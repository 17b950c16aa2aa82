"""The verbs that look into a package and run it: inspect, run."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from invoke import Exit

from ..core.errors import UsageError
from ..edge.files import decoded
from .session import Session, verb

if TYPE_CHECKING:
    from ..runtime.invocation import Invocation


@verb({"package": "The package; the last build's by default"})
def inspect(run: Session, package: str | None = None) -> None:
    """Show what is in a package, ours or not, without unpacking it."""
    from ..core.events import Failed
    from ..verbs.inspect import inspect_package, refusal
    from ..verbs.which_package import chosen_package

    found = inspect_package(chosen_package(package, run.root))
    run.result("\n".join(found.lines()), found.document())
    if refused := refusal(found):
        run.reporter.emit(Failed("", refused))
        raise Exit(code=refused.exit_code)


@verb(
    {
        "package": "The package; the last build's by default",
        "event": "A file with the event, standard input without it; repeated, one process runs all",
        "watch": "Run the files in src instead, without a build, again at each save until Ctrl-C",
    },
    iterable=["event"],
)
def run(
    session: Session, event: list[str], package: str | None = None, watch: bool = False
) -> None:
    """Run the packaged function on this machine, under AWS's own runtime client."""
    from ..verbs.run import read_event, run

    if watch:
        _watch(session, event, package)
    events = [read_event(Path(name)) for name in event] or [_standard_input(session.root)]
    done = run(session.project, package, events, session.machine, session.reporter)
    session.answer = {"invocations": [_document(invocation) for invocation in done]}
    if any(invocation.error for invocation in done):
        raise Exit(code=1)


def _watch(run: Session, event: list[str], package: str | None) -> NoReturn:
    from ..verbs.watch import Watched, watch

    if package or run.json:
        what = "it runs the files in src, not a package" if package else "it never has an answer"
        raise UsageError("--watch", what, f"Leave out {package or '--json'}.")
    given = () if event else (_standard_input(run.root),)
    run.machine.tooling("local")
    watch(Watched(tuple(map(Path, event)), given), run.machine, run.reporter, time.sleep)


def _standard_input(root: Path) -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        known = sorted(
            path.relative_to(root).as_posix() for path in (root / "tests" / "events").glob("*.json")
        )
        then = f"Pass one: --event {known[0]}" if known else "Pass a JSON file with --event."
        raise UsageError("run", "there is no event", then)
    return decoded(sys.stdin.buffer.read(), "standard input").encode()


def _document(invocation: Invocation) -> dict[str, object]:
    try:
        answer = json.loads(invocation.payload)
    except ValueError:
        answer = invocation.payload.decode("utf-8", "replace")
    return {"answer": answer, "error": invocation.error, "log": invocation.readable_log()}
