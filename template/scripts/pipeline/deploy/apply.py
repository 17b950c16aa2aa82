"""The executor of a plan: step after step, each under a revision and proven by reading it back.

When a step fails, what the steps before it changed is taken back where that can be done and the
function is still as they left it; else the error says what was accepted and what is live now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..core.errors import Conflict, NotTheSame, PipelineError
from ..core.events import Reporter, Stage
from ..core.text import readable_size
from .aws_errors import Busy, Unanswered, explained_errors, hint
from .aws_session import Connection
from .observe import Observed, Wait, settled
from .plan import Call, Later, Plan, Step

_COMPARED = ("runtime", "handler", "description", "architecture", "code_sha256")


def apply(
    plan: Plan, code: bytes, connection: Connection, reporter: Reporter, wait: Wait
) -> Observed:
    """Carry out `plan` with the function zip, and return what the service says then.

    Every write names the revision that was planned on, where the service has revisions.
    Raises Conflict when somebody else changed the function meanwhile, NotTheSame when the
    service runs other code than was sent; what these say of the function is read anew.
    """
    work = _Work(code, connection, wait)
    found = plan.observed
    done: list[_Done] = []
    for step in plan.steps:
        with reporter.stage(step.name) as stage:
            try:
                after = _carry_out(step, found, work, stage)
            except PipelineError as error:
                raise _with_outcome(error, done, found, work, stage) from error
            stage.text = _summary(step, code, after)
        done.append(_Done(step, found))
        found = after
    return found


@dataclass(frozen=True)
class _Done:
    """A step that was carried out, and what the function was like before it."""

    step: Step
    before: Observed


@dataclass
class _Work:
    """What every step needs; `accepted` are the steps whose change of the function AWS took."""

    code: bytes
    connection: Connection
    wait: Wait
    accepted: list[Step] = field(default_factory=list)

    def settled(self, name: str, stage: Stage) -> Observed:
        return settled(self.connection.functions, name, self.wait, stage)

    def send(self, call: Call, revision: str = "") -> None:
        """Make a call; `revision` is left out where the service gives none."""
        request = {
            key: self.code if value is Later.FUNCTION_ZIP else value
            for key, value in call.request.items()
        }
        if call.revised and revision:
            request["RevisionId"] = revision
        client: Any = self.connection.functions
        if call.service == "s3":
            client = self.connection.objects()
        with explained_errors(_target(call), call.permissions[0].action):
            getattr(client, call.method)(**request)


def _target(call: Call) -> str:
    request = call.request
    if call.service == "s3":
        return f"s3://{request['Bucket']}/{request['Key']}"
    return str(request.get("FunctionName") or request["Resource"])


def _carry_out(step: Step, before: Observed, work: _Work, stage: Stage) -> Observed:
    if not step.sets:
        work.send(step.call)
        return before
    if step.call.revised:
        _send_under_revision(step, before, work, stage)
    else:
        # No revision protects this call: what is there is compared before it.
        _refuse_changes(before, before, work.settled(before.name, stage))
        work.send(step.call)
    work.accepted.append(step)
    after = work.settled(before.name, stage)
    _prove(step, before, after)
    return after


def _send_under_revision(step: Step, before: Observed, work: _Work, stage: Stage) -> None:
    start = work.wait.now()
    while True:
        try:
            return work.send(step.call, before.revision_id)
        except Busy as error:
            if work.wait.now() - start >= work.wait.ceiling:
                raise
            stage.progress(error.what)
            work.wait.sleep(work.wait.interval)
            work.settled(before.name, stage)
        except (Conflict, Unanswered):
            # The answer to an update of ours may have been lost, and the AWS client may have sent
            # it again: then what we wanted is there, and only the revision is another one.
            after = work.settled(before.name, stage)
            if not _differences(_target_state(step, before), after):
                return None
            _refuse_changes(before, before, after)
            raise


def _target_state(step: Step, before: Observed) -> Observed:
    return replace(before, **{key: value for key, value in step.sets.items() if key != "tags"})


def _prove(step: Step, before: Observed, after: Observed) -> None:
    """Compare what the service says with what the step sets."""
    if after.update == "Failed":
        what = f"AWS dropped the update: {after.update_reason or 'it gives no reason'}"
        raise PipelineError(after.name, what, hint(after.update_reason))
    target = _target_state(step, before)
    if after.code_sha256 != target.code_sha256:
        raise NotTheSame(
            after.name,
            f"the service runs CodeSha256 {after.code_sha256}, not {target.code_sha256}",
            "Somebody deployed other code meanwhile, or code signing replaces it: look at the "
            "function, then deploy again.",
        )
    # A service that takes no architecture says so by its answer; the caller sees it in the value.
    _refuse_changes(before, replace(target, architecture=after.architecture), after)
    wanted: Mapping[str, str] = step.sets.get("tags", {})
    there = wanted if after.tags is None else after.tags
    lost = sorted(key for key, value in wanted.items() if there.get(key) != value)
    if lost:
        what = f"the tags {', '.join(lost)} are not as they were just set"
        then = "Somebody changes them at the same time: look at the function, then deploy again."
        raise Conflict(after.name, what, then)


def _refuse_changes(planned_on: Observed, expected: Observed, live: Observed) -> None:
    if not _differences(expected, live):
        return
    changes = _differences(planned_on, live)
    now = ", ".join(f"{name} {value}" for name, _, value in changes)
    then = ", ".join(f"{name} {value}" for name, value, _ in changes)
    when = f", changed {live.modified}" if live.modified else ""
    raise Conflict(
        live.name,
        f"somebody changed {live.name} after this deploy was planned.\n"
        f"  live now     {now or 'as planned on'}{when}\n"
        f"  planned on   {then or 'the same'}",
        "Look at the difference with `--dry-run`, then deploy again.",
    )


def _differences(first: Observed, second: Observed) -> list[tuple[str, str, str]]:
    found = [
        (name, getattr(first, name), getattr(second, name))
        for name in _COMPARED
        if getattr(first, name) != getattr(second, name)
    ]
    found += [
        (key, first.rest.get(key, "(none)"), second.rest.get(key, "(none)"))
        for key in sorted({*first.rest, *second.rest})
        if first.rest.get(key) != second.rest.get(key)
    ]
    for key in sorted({*first.environment, *second.environment}):
        if first.environment.get(key) != second.environment.get(key):
            was, now = (
                "(set)" if key in side.environment else "(none)" for side in (first, second)
            )
            found.append((f"environment {key}", was, "(another value)" if was == now else now))
    return found


def _with_outcome(
    error: PipelineError, done: list[_Done], found: Observed, work: _Work, stage: Stage
) -> PipelineError:
    """Take back what can be, and return the error with where the function stands now.

    Only what is exactly as the last step left it is taken back, under its revision: a request
    of ours that arrives late is then refused, and no change of anybody else is overwritten.
    """
    accepted = " and ".join(_named(step) for step in work.accepted)
    try:
        live = work.settled(found.name, stage)
        as_left = not _differences(found, live)
        if as_left and all(item.step.undo for item in done if item.step.sets):
            for item in reversed(done):
                live = _undo(item, live, work, stage)
            outcome = f"{accepted} was taken back." if accepted else "Nothing was changed."
        elif not accepted and not isinstance(error, Unanswered):
            outcome = "Nothing was changed."
        else:
            outcome = (
                f"AWS accepted {accepted or 'an update'} before that. {found.name} now has "
                f"runtime {live.runtime}, handler {live.handler}, CodeSha256 {live.code_sha256}."
            )
        if as_left and isinstance(error, Unanswered):
            outcome += " A request that is still on its way would be refused: its revision is old."
    except PipelineError as second:
        outcome = f"{accepted or 'Perhaps an update'} was accepted; what is live now is not known "
        outcome += f"({second.what})."
    return type(error)(error.where, error.what, f"{outcome} {error.then}".strip())


def _undo(item: _Done, live: Observed, work: _Work, stage: Stage) -> Observed:
    if item.step.undo is None:
        return live
    work.send(item.step.undo, live.revision_id)
    after = work.settled(live.name, stage)
    _refuse_changes(item.before, item.before, after)
    return after


def _named(step: Step) -> str:
    return f"{step.name} ({', '.join(change.what for change in step.changes)})"


def _summary(step: Step, code: bytes, after: Observed) -> str:
    if "code_sha256" in step.sets:
        return f"{readable_size(len(code))}, CodeSha256 {after.code_sha256}"
    if not step.sets:
        return step.changes[0].planned
    changed = ", ".join(change.what for change in step.changes)
    unread = "tags" in step.sets and after.tags is None
    return f"{changed}; not read back, as lambda:ListTags is not allowed" if unread else changed
