"""The verbs that look into a package and run it: inspect, run."""

from __future__ import annotations

import json as json_format
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from invoke import Context, Exit, task

from ..core.errors import UsageError
from ..edge.files import decoded
from .session import COMMON, Session, root_of, session

if TYPE_CHECKING:
    from ..runtime.invocation import Invocation


@task(help={"package": "The package; the last build's by default", **COMMON})
def inspect(
    c: Context, package: str | None = None, json: bool = False, verbose: bool = False
) -> None:
    """Show what is in a package, ours or not, without unpacking it."""
    from ..core.events import Failed
    from ..verbs.inspect import inspect_package, refusal
    from ..verbs.which_package import chosen_package

    with session(root_of(c), json=json, verbose=verbose) as here:
        found = inspect_package(chosen_package(package, here.machine))
        here.result("\n".join(found.lines()), found.document())
        if refused := refusal(found):
            here.reporter.emit(Failed("", refused))
            raise Exit(code=refused.exit_code)


@task(
    iterable=["event"],
    help={
        "package": "The package; the last build's by default",
        "event": "A file with the event, standard input without it; repeated, one process runs all",
        "watch": "Run the files in src instead, without a build, again at each save until Ctrl-C",
        **COMMON,
    },
)
def run(
    c: Context,
    event: list[str],
    package: str | None = None,
    watch: bool = False,
    json: bool = False,
    verbose: bool = False,
) -> None:
    """Run the packaged function on this machine, under AWS's own runtime client."""
    from ..verbs.run import read_event, run_packaged
    from ..verbs.which_package import fresh_package

    with session(root_of(c), json=json, verbose=verbose) as here:
        if watch:
            _watch(here, event, package)
        events = [read_event(Path(name)) for name in event] or [_standard_input(here.root)]
        chosen = fresh_package(here.project, package, here.machine, here.reporter)
        here.machine.tooling("local")
        done = run_packaged(here.project, chosen, events, here.machine, here.reporter)
        here.answer = {"invocations": [_document(invocation) for invocation in done]}
        if any(invocation.error for invocation in done):
            raise Exit(code=1)


def _watch(here: Session, event: list[str], package: str | None) -> NoReturn:
    from ..verbs.watch import Watched, watch

    if package or here.json:
        what = "it runs the files in src, not a package" if package else "it never has an answer"
        raise UsageError("--watch", what, f"Leave out {package or '--json'}.")
    given = () if event else (_standard_input(here.root),)
    here.machine.tooling("local")
    watch(Watched(tuple(map(Path, event)), given), here.machine, here.reporter, time.sleep)


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
        answer = json_format.loads(invocation.payload)
    except ValueError:
        answer = invocation.payload.decode("utf-8", "replace")
    return {"answer": answer, "error": invocation.error, "log": invocation.readable_log()}
