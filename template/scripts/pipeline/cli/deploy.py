"""The verbs of an environment: deploy, rollback, status, logs and the function's versions."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from invoke import Exit

from ..core.errors import Interrupted, NotTheSame, PipelineError, UsageError
from ..core.events import Failed
from ..core.text import counted
from .session import Session, error_document, verb

if TYPE_CHECKING:
    from ..deploy.observe import Wait
    from ..verbs.which_function import Place

LOG_FLAGS = {
    "since": "From when: 15m, 2h, 1d, or a moment like 2026-11-26T09:05 (UTC)",
    "follow": "Go on with what comes, until Ctrl-C; with --json one line for each",
    "version": "Only this one: a release's version or commit, `live`, or Lambda's number",
}
_AT_ONCE = 8  # environments
_WHERE = "Where: an environment of pyproject.toml or of env.create, or `local`"


@contextmanager
def _wait() -> Iterator[Wait]:
    """Wait so that Ctrl-C ends what moves traffic between two steps, and not within a call."""
    from ..deploy.observe import Wait
    from ..deploy.stop import Stop

    stop = Stop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, stop.request) for number in numbers}
    try:
        yield Wait(stopped=stop)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _place(run: Session, name: str) -> Place:
    """Return where an environment is, declared or made by `env.create`."""
    from ..verbs.env_place import Asked, StackOptions

    return Asked(run.project, StackOptions(name), run.machine, run.reporter).place()


@verb(
    {
        "environment": "Where to: an environment of pyproject.toml in any case, or `local`",
        "package": "The package; the last build's by default",
        "dry-run": "Show what would change, change nothing",
        "detailed-exit-code": "With --dry-run or --plan: exit 3 where something would change",
        "plan": "Save the plan in this file, change nothing",
        "from-plan": "Deploy exactly the plan in this file; exit 4 where anything has moved",
        "strategy": "all-at-once, or canary:PERCENT:DURATION like canary:10:15m; this once",
        "promote": "Give all calls to the canary that is under way, whatever package this is",
        "abort": "Take the canary back that is under way",
        "print-policy": "Show the IAM policy that this deploy needs, change nothing",
        "allow-dirty": "Deploy a dirty or unverified build to a permanent environment all the same",
    }
)
def deploy(
    run: Session, environment: str = "", package: str | None = None, dry_run: bool = False,
    detailed_exit_code: bool = False, plan: str = "", from_plan: str = "", strategy: str = "",
    promote: bool = False, abort: bool = False, print_policy: bool = False,
    allow_dirty: bool = False,
) -> None:  # fmt: skip
    """Run a package's own deploy script against an environment, as an Octopus worker would."""
    from ..deploy.traffic import ABORT, PROMOTE
    from ..verbs.deploy_here import DeployOptions, deploy
    from ..verbs.rollback import end_canary

    if detailed_exit_code and not (dry_run or plan):
        what = "--detailed-exit-code is for --dry-run and --plan"
        raise UsageError("deploy", what, "Name one of them besides.")
    if sum(map(bool, (plan, from_plan, print_policy))) > 1:
        what = "--plan, --from-plan and --print-policy exclude each other"
        raise UsageError("deploy", what, "Name one.")
    options = DeployOptions(
        environment, package, dry_run, print_policy, allow_dirty, plan, from_plan, strategy
    )
    if promote or abort:
        if replace(options, environment="") != DeployOptions("") or (promote and abort):
            what = "--promote and --abort end the canary that is under way, and deploy nothing"
            raise UsageError("deploy", what, "Name one of them, and nothing but the environment.")
        word = PROMOTE if promote else ABORT
        place = _place(run, environment)
        with _wait() as wait:
            run.answer = asdict(end_canary(place, word, run.reporter, wait))
        return
    done = deploy(run.project, options, run.machine, run.reporter)
    if print_policy:
        run.result(done.outputs["Policy"], json.loads(done.outputs["Policy"]))
    else:
        run.answer = asdict(done)
    if detailed_exit_code and done.changes:
        raise Exit(code=3)


@verb(
    {
        "environment": _WHERE,
        "to": "The release to serve: a package's version or a commit; by default the one before",
        "reason": "Why; it is kept with the alias",
    }
)
def rollback(run: Session, environment: str = "", to: str = "", reason: str = "") -> None:
    """Let the alias live point to an earlier release again; nothing is built or uploaded."""
    from ..verbs.rollback import rollback

    place = _place(run, environment)
    with _wait() as wait:
        run.answer = asdict(rollback(place, to, reason, run.machine.now(), run.reporter, wait))


@verb(
    {"environment": "Which, also one of env.create; all declared ones else"},
    iterable=["environment"],
)
def status(run: Session, environment: list[str]) -> None:
    """Show which release each environment serves, and what is not as it should be (exit 3)."""
    from ..verbs.status import Status, elsewhere, status, texts
    from .octopus import octopus_access

    names = environment or [one.name for one in run.project.environments] or [""]
    where = elsewhere(run.project, run.machine, octopus_access(run), run.reporter)

    def look(name: str) -> Status | PipelineError:
        try:
            return status(_place(run, name), where)
        except PipelineError as error:
            # The others are told of all the same.
            return error

    with run.reporter.stage("status") as stage, ThreadPoolExecutor(_AT_ONCE) as pool:
        found = []
        for number, one in enumerate(pool.map(look, names), 1):
            stage.progress("environments", number, len(names))
            found.append(one)
        stage.text = counted(len(names), "environment")
    blocks = iter(texts([one for one in found if isinstance(one, Status)]))
    answers, code = [], 0
    for name, one in zip(names, found, strict=True):
        if isinstance(one, Status):
            for text in next(blocks):
                run.reporter.line(text)
            answers.append(asdict(one))
            code = code or (NotTheSame.exit_code if one.drift else 0)
        else:
            run.reporter.emit(Failed("", one))
            answers.append({"environment": name, **error_document(one)})
            code = one.exit_code
    run.answer = {"environments": answers}
    if code:
        raise Exit(code=code)


@verb({"environment": _WHERE, **LOG_FLAGS})
def logs(
    run: Session, environment: str = "", since: str = "", follow: bool = False, version: str = ""
) -> None:
    """Show the function's log, on standard output; without --since its last hour."""
    show_log(run, environment, since, version, follow=follow)


def show_log(run: Session, environment: str, since: str, version: str, *, follow: bool) -> None:
    """Show the log of an environment's function, as text or as JSON."""
    from ..report.function_log import LogReader
    from ..verbs.logs import LogOptions, function_log
    from .printers import part_writer

    options = LogOptions(since, version, follow)
    found = []
    try:
        place = _place(run, environment)
        reader, show = LogReader(), part_writer(run.masked)
        for entries in function_log(place, options, run.machine.now(), run.reporter, time.sleep):
            found += [] if follow else [entry.document() for entry in entries]
            if run.json and follow:
                run.stream(entry.document() for entry in entries)
            elif not run.json:
                for entry in entries:
                    for parts in reader.shown(entry):
                        show(parts)
    except KeyboardInterrupt:
        if not follow:
            raise
        # The way to end it: nothing went wrong that would be worth a word.
        raise Exit(code=Interrupted.exit_code) from None
    if not found and not run.json:
        run.reporter.line("  logs      nothing there: what was just sent takes a moment to arrive")
    where = {"environment": place.environment.name, "function": place.function}
    run.answer = {**where, "events": found}


@verb(
    {
        "environment": _WHERE,
        "keep": "How many of the newest stay; the environment's keep-versions, or 10",
        "dry-run": "Show what would go, remove nothing",
    }
)
def prune(
    run: Session, environment: str = "", keep: str | None = None, dry_run: bool = False
) -> None:
    """Remove the function's old versions that nothing leads to and no rollback needs."""
    from ..verbs.versions import prune

    if keep is not None and not (keep.isdecimal() and int(keep)):
        raise UsageError("--keep", f"{keep!r} is not a number from 1 on", "Pass one, like 10.")
    place = _place(run, environment)
    number = int(keep) if keep else None
    run.answer = asdict(prune(place, number, run.reporter, dry_run=dry_run))
