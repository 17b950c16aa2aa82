"""Waiting for server tasks: their logs as they grow, within a bound, through server restarts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from ..core.errors import Interrupted, PipelineError
from ..core.events import Reporter, Stage
from ..edge.http import HttpError
from .client import Document, Octopus
from .deployments import Run
from .tasks_log import LogLine, TaskLog

_BATCH = 50
_WHOLE_LOG = 2147483647  # Octopus's own number for "all"
# With a limit of 200 requests a minute, half of it is left to everybody else.
_SECONDS_A_REQUEST = 0.6


@dataclass(frozen=True)
class Patience:
    """How long to wait, and whether a task that takes longer is cancelled. All in seconds."""

    seconds: float = 600.0
    cancel_on_timeout: bool = False
    poll: float = 2.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass
class _Followed:
    run: Run
    log: TaskLog = field(default_factory=TaskLog)
    activity: str = ""
    state: str = "Queued"
    waits: bool = False
    failure: str = ""


@dataclass
class _Waiter:
    octopus: Octopus
    stage: Stage
    reporter: Reporter
    several: bool
    unreachable: bool = False

    def look(self, followed: Sequence[_Followed]) -> list[_Followed]:
        """Read states and logs; return those that are not complete.

        A server that does not answer is one that is being restarted: nothing is complete then.
        """
        try:
            tasks = self._tasks([one.run.task for one in followed])
            going_on = [one for one in followed if self._follow(one, tasks)]
        except PipelineError as error:
            if isinstance(error, HttpError) and not _is_passing(error.status):
                raise
            if not self.unreachable:
                self.reporter.line(f"    Octopus does not answer, still waiting: {error.what}")
            self.unreachable = True
            return list(followed)
        self.unreachable = False
        return going_on

    def _tasks(self, ids: list[str]) -> dict[str, Document]:
        found: dict[str, Document] = {}
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            # Never without ids: that would mean every task there is.
            page = self.octopus.get("tasks", ids=",".join(batch), skip=0, take=len(batch))
            found |= {task.text("Id"): task for task in page.resources()}
        unknown = [task for task in ids if task not in found]
        if unknown:
            raise HttpError(
                "Octopus tasks",
                f"the server does not know {', '.join(unknown)} any more",
                "Look in Octopus what became of it.",
                status=HTTPStatus.NOT_FOUND,
            )
        return found

    def _follow(self, one: _Followed, tasks: dict[str, Document]) -> bool:
        """Pass on what is new; tell whether the task goes on.

        The log is read after the state, so that the last lines of a complete task are in it.
        """
        task = tasks[one.run.task]
        one.state = task.text("State")
        details = self.octopus.get(f"tasks/{one.run.task}/details", verbose="true", tail=_WHOLE_LOG)
        self._show(one, one.log.unread(details))
        percent = details.document("Progress").number("ProgressPercentage")
        self.stage.progress(f"{one.run.project}: {one.state}", percent, 100)
        waits = task.flag("HasPendingInterruptions")
        if waits and not one.waits:
            self.reporter.warn(
                f"{one.run.project} waits for a person in {one.run.environment} (a manual "
                f"intervention or guided failure): {one.run.link}"
            )
        one.waits = waits
        if not task.flag("IsCompleted"):
            return True
        if not task.flag("FinishedSuccessfully"):
            one.failure = task.text("ErrorMessage") or f"its state is {one.state}"
        if one.log.cut:
            self.reporter.warn(f"the server left out lines of this log: {one.run.link}")
        return False

    def _show(self, one: _Followed, lines: list[LogLine]) -> None:
        for line in lines:
            if line.activity != one.activity:
                one.activity = line.activity
                owner = f"{one.run.project}: " if self.several else ""
                self.reporter.line(f"    {owner}{line.activity}")
            if line.category in ("Warning", "Alert"):
                self.reporter.warn(line.text)
            else:
                mark = "error: " if line.category in ("Error", "Fatal") else ""
                self.reporter.line(
                    f"      {mark}{line.text}", verbose=line.category in ("Verbose", "Trace")
                )


def wait_for(
    octopus: Octopus, runs: Sequence[Run], patience: Patience, stage: Stage, reporter: Reporter
) -> None:
    """Wait until every task is complete, and show their logs meanwhile.

    Raises PipelineError that names every task that failed or took too long, Interrupted (after
    having cancelled what was running) where the user stops the verb.
    """
    waiter = _Waiter(octopus, stage, reporter, several=len(runs) > 1)
    everything = [_Followed(run) for run in runs]
    going_on: list[_Followed] = everything
    deadline = patience.clock() + patience.seconds
    try:
        while going_on := waiter.look(going_on):
            left = deadline - patience.clock()
            if left <= 0:
                break
            # States come in one request, each log in one of its own.
            pause = max(patience.poll, (1 + len(going_on)) * _SECONDS_A_REQUEST)
            patience.sleep(min(pause, left))
    except KeyboardInterrupt:
        raise interrupted(octopus, [one.run for one in going_on], stage.name) from None
    if going_on:
        raise _took_too_long(waiter, going_on, patience)
    failed = [one for one in everything if one.failure]
    if failed:
        what = "; ".join(f"{_named(one.run)} failed: {one.failure}" for one in failed)
        raise PipelineError(stage.name, what, _links(one.run for one in failed))


def interrupted(octopus: Octopus, runs: Sequence[Run], where: str) -> Interrupted:
    """Cancel tasks because the user stops the verb, and return the error that says so."""
    what = "; ".join(f"{_named(run)} {_cancelled(octopus, run)}" for run in runs)
    return Interrupted(where, f"interrupted: {what or 'nothing was running'}", _links(runs))


def _took_too_long(
    waiter: _Waiter, going_on: Sequence[_Followed], patience: Patience
) -> PipelineError:
    said = []
    for one in going_on:
        state = "waiting for a person" if one.waits else one.state
        cancel = patience.cancel_on_timeout
        then = _cancelled(waiter.octopus, one.run) if cancel else "and goes on"
        said.append(f"{_named(one.run)} is {state} after {patience.seconds:.0f} s {then}")
    links = _links(one.run for one in going_on)
    then = f"{links}\nWait longer with --wait SECONDS."
    return PipelineError(waiter.stage.name, "; ".join(said), then)


def _cancelled(octopus: Octopus, run: Run) -> str:
    try:
        octopus.whole_server.post(f"tasks/{run.task}/cancel", {})
    except PipelineError as error:
        return f"and cannot be cancelled: {error.what}"
    return "and was cancelled"


def _is_passing(status: int) -> bool:
    passing = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in passing


def _named(run: Run) -> str:
    return f"project {run.project}, release {run.version}, task {run.task}"


def _links(runs: Iterable[Run]) -> str:
    return "\n".join(run.link for run in runs)
