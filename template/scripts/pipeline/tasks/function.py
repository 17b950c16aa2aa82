"""The verbs that look into a package and run it: inspect, run."""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from invoke import Context, task

from ..errors import PipelineError, UsageError
from .build import COMMON
from .session import Ended, root_of, session

if TYPE_CHECKING:
    from ..local.invocation import Invocation

__all__ = ["inspect", "run"]


@task(
    help={
        "package": "The package; the last build's by default",
        "verify-provenance": "Check what the package's documents claim against its bytes",
        "key": "With --verify-provenance: the public key (PEM) that the attestation needs",
        **COMMON,
    }
)
def inspect(
    c: Context,
    package: str | None = None,
    verify_provenance: bool = False,
    key: str | None = None,
    json: bool = False,
    verbose: bool = False,
) -> None:
    """Show what is in a package, ours or not, without unpacking it."""
    from ..report.events import Failed
    from ..verbs.inspect import inspect_package, refusal
    from ..verbs.inspect import verify_provenance as checked
    from ..verbs.packages import chosen_package

    with session(root_of(c), json=json, verbose=verbose) as here:
        if key and not verify_provenance:
            then = "Add --verify-provenance, or leave --key out."
            raise UsageError("--key", "it is for --verify-provenance", then)
        path = chosen_package(package, here.machine)
        found = (
            checked(path, Path(key) if key else None, here.machine)
            if verify_provenance
            else inspect_package(path)
        )
        here.result("\n".join(found.lines()), found.document())
        if refused := refusal(found):
            here.reporter.emit(Failed("", refused))
            raise Ended(refused.exit_code)


@task(
    iterable=["event"],
    help={
        "package": "The package; the last build's by default",
        "event": "A file with the event, standard input without it; repeated, one process runs all",
        **COMMON,
    },
)
def run(
    c: Context,
    event: list[str],
    package: str | None = None,
    json: bool = False,
    verbose: bool = False,
) -> None:
    """Run the packaged function on this machine, under AWS's own runtime client."""
    from ..verbs.packaged import packaged, run_packaged

    with session(root_of(c), json=json, verbose=verbose) as here:
        events = [_read(Path(name)) for name in event] or [_standard_input(here.root)]
        chosen = packaged(here.project, package, here.machine, here.reporter)
        here.machine.tooling("local")
        outcome = run_packaged(here.project, chosen, events, here.machine, here.reporter)
        here.answer = {"invocations": [_document(invocation) for invocation in outcome.invocations]}
        if outcome.failed:
            raise Ended(1)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PipelineError(
            "--event", f"{path}: {error.strerror}", "Name a JSON file, like those in tests/events."
        ) from error


def _standard_input(root: Path) -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        known = sorted(
            path.relative_to(root).as_posix() for path in (root / "tests" / "events").glob("*.json")
        )
        then = f"Pass one: --event {known[0]}" if known else "Pass a JSON file with --event."
        raise UsageError("run", "there is no event", then)
    return sys.stdin.buffer.read()


def _document(invocation: Invocation) -> dict[str, object]:
    try:
        answer = json_format.loads(invocation.payload)
    except ValueError:
        answer = invocation.payload.decode("utf-8", "replace")
    return {"answer": answer, "error": invocation.error, "log": invocation.readable_log()}
