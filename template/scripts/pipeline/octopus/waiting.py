"""Waiting for server tasks: their logs as they grow, within a bound, through server restarts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from ..core.errors import Interrupted, PipelineError
from ..core.events import Reporter, Stage
from ..edge.http import HttpError
from .client import Document, Octopus
from .releases import Run

_BATCH = 50
_WHOLE_LOG = 2147483647  # Octopus's own number for "all"
# Octopus allows 200 requests a minute: half of them are left to everybody else.
_SECONDS_A_REQUEST = 0.6
_TEMPORARY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
_GAP = "Gap"
_Entry = tuple[str, str, str]


@dataclass(frozen=True)
class Patience:
    """How long to wait, and whether a task that takes longer is cancelled. All in seconds."""

    seconds: float = 600.0
    cancel_on_timeout: bool = False
    poll: float = 2.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass
class TaskLog:
    """What has been read of one task's log; `cut` after the server left out lines unread."""

    seen: dict[str, Counter[_Entry]] = field(default_factory=dict)
    cut: bool = False

    def unread(self, details: Document) -> list[tuple[str, str, str]]:
        """Return the lines that are new in this reading of the task's details, depth first.

        Each has its activity, its category in Octopus's words, and its text.
        """
        found = []
        for node in _activities(details.documents("ActivityLogs")):
            name = node.text("Name")
            new = self._new(node.text("Id"), node.documents("LogElements"))
            found += [(name, category, words) for _, category, words in new]
        return found

    def _new(self, activity: str, elements: list[Document]) -> list[_Entry]:
        entries = [
            (e.text("OccurredAt"), e.text("Category"), e.text("MessageText")) for e in elements
        ]
        seen = self.seen.setdefault(activity, Counter())
        known, here = seen.copy(), Counter[_Entry]()
        new, is_cut = list[_Entry](), False
        for entry in entries:
            if entry[1] == _GAP:
                # Unless what follows is known, lines in between may be missing.
                is_cut = True
                continue
            here[entry] += 1
            if known[entry]:
                known[entry] -= 1
                is_cut = False
            else:
                new.append(entry)
        self.cut |= is_cut
        seen |= here
        return new


@dataclass
class _Task:
    """What has been seen of a run: whether it waits for a person, and why it failed, or ""."""

    run: Run
    log: TaskLog = field(default_factory=TaskLog)
    activity: str = ""
    state: str = "Queued"
    waits: bool = False
    failure: str = ""

    def __str__(self) -> str:
        return f"project {self.run.project}, release {self.run.version}, task {self.run.task}"


def wait_for(
    octopus: Octopus, runs: Sequence[Run], patience: Patience, stage: Stage, reporter: Reporter
) -> None:
    """Wait until every task is complete, and show their logs meanwhile.

    Raises PipelineError that names every task that failed or took too long, Interrupted (after
    having cancelled what was running) where the user stops the verb.
    """
    tasks = [_Task(run) for run in runs]
    running, is_reachable = tasks, True
    deadline = patience.clock() + patience.seconds
    try:
        while True:
            try:
                running = _read(octopus, running, stage, reporter, several=len(tasks) > 1)
                is_reachable = True
            except PipelineError as error:
                # A server that does not answer is being restarted: no task is complete then.
                if isinstance(error, HttpError) and not _is_temporary(error.status):
                    raise
                if is_reachable:
                    reporter.line(f"    Octopus does not answer, still waiting: {error.what}")
                is_reachable = False
            left = deadline - patience.clock()
            if not running or left <= 0:
                break
            # The states come in one request, each log in one of its own.
            pause = max(patience.poll, (1 + len(running)) * _SECONDS_A_REQUEST)
            patience.sleep(min(pause, left))
    except KeyboardInterrupt:
        raise interrupted(octopus, [task.run for task in running], stage.name) from None
    if running:
        raise _timeout(octopus, running, patience, stage.name)
    failed = [task for task in tasks if task.failure]
    if failed:
        what = "; ".join(f"{task} failed: {task.failure}" for task in failed)
        raise PipelineError(stage.name, what, _links(task.run for task in failed))


def interrupted(octopus: Octopus, runs: Sequence[Run], where: str) -> Interrupted:
    """Cancel tasks because the user stops the verb, and return the error that names them."""
    what = "; ".join(f"{_Task(run)} {_cancel(octopus, run)}" for run in runs)
    return Interrupted(where, f"interrupted: {what or 'nothing was running'}", _links(runs))


def _read(
    octopus: Octopus, tasks: Sequence[_Task], stage: Stage, reporter: Reporter, *, several: bool
) -> list[_Task]:
    """Read states and logs, pass on what is new, and return the tasks that are not complete."""
    states = _states(octopus, [task.run.task for task in tasks])
    running = []
    for task in tasks:
        run, state = task.run, states[task.run.task]
        task.state = state.text("State")
        # The log is read after the state, so that the last lines of a complete task are in it.
        details = octopus.get(f"tasks/{run.task}/details", verbose="true", tail=_WHOLE_LOG)
        _show_log(task, details, reporter, several=several)
        percent = details.document("Progress").number("ProgressPercentage")
        stage.progress(f"{run.project}: {task.state}", percent, 100)
        # An interruption is a step's or a failure's; a precondition is that of a change request.
        waits = state.flag("HasPendingInterruptions") or state.flag("HasPendingPreconditions")
        if waits and not task.waits:
            pending = ("PendingInterruptionTypes", "PendingPreconditionTypes")
            kinds = ", ".join(kind for name in pending for kind in state.texts(name))
            reporter.warn(
                f"{run.project} waits for a person in {run.environment} "
                f"({kinds or 'a manual intervention or guided failure'}): {run.link}"
            )
        task.waits = waits
        if not state.flag("IsCompleted"):
            running.append(task)
            continue
        if not state.flag("FinishedSuccessfully"):
            task.failure = state.text("ErrorMessage") or f"its state is {task.state}"
        if task.log.cut:
            reporter.warn(f"the server left out lines of this log: {run.link}")
    return running


def _states(octopus: Octopus, ids: list[str]) -> dict[str, Document]:
    """Return the tasks by id. Raises HttpError for those that the server does not know."""
    found: dict[str, Document] = {}
    for start in range(0, len(ids), _BATCH):
        batch = ids[start : start + _BATCH]
        # Never without ids: that would mean every task there is.
        page = octopus.get("tasks", ids=",".join(batch), skip=0, take=len(batch))
        found |= {task.text("Id"): task for task in page.resources()}
    unknown = [id_ for id_ in ids if id_ not in found]
    if unknown:
        what = f"the server does not know {', '.join(unknown)} any more"
        then = "Look in Octopus what became of it."
        raise HttpError("Octopus tasks", what, then, status=HTTPStatus.NOT_FOUND)
    return found


def _show_log(task: _Task, details: Document, reporter: Reporter, *, several: bool) -> None:
    for activity, category, text in task.log.unread(details):
        if activity != task.activity:
            task.activity = activity
            owner = f"{task.run.project}: " if several else ""
            reporter.line(f"    {owner}{activity}")
        if category in ("Warning", "Alert"):
            reporter.warn(text)
        else:
            mark = "error: " if category in ("Error", "Fatal") else ""
            reporter.line(f"      {mark}{text}", verbose=category in ("Verbose", "Trace"))


def _timeout(
    octopus: Octopus, tasks: Sequence[_Task], patience: Patience, where: str
) -> PipelineError:
    found = []
    for task in tasks:
        state = "waiting for a person" if task.waits else task.state
        then = _cancel(octopus, task.run) if patience.cancel_on_timeout else "goes on"
        found.append(f"{task} is {state} after {patience.seconds:.0f} s and {then}")
    links = _links(task.run for task in tasks)
    return PipelineError(where, "; ".join(found), f"{links}\nWait longer with --wait SECONDS.")


def _cancel(octopus: Octopus, run: Run) -> str:
    try:
        octopus.whole_server.post(f"tasks/{run.task}/cancel", {})
    except PipelineError as error:
        return f"cannot be cancelled: {error.what}"
    return "was cancelled"


def _is_temporary(status: int) -> bool:
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TEMPORARY


def _links(runs: Iterable[Run]) -> str:
    return "\n".join(run.link for run in runs)


def _activities(nodes: list[Document]) -> Iterator[Document]:
    for node in nodes:
        yield node
        yield from _activities(node.documents("Children"))
