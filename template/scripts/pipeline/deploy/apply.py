"""The executor of a plan: step after step, each under a revision and proven by reading it back.

When a step fails, what the steps before it changed is taken back where that can be done and the
function is still as they left it; else the error says what was accepted and what is live now.
Traffic moves with one call, when all that it moves to is there and ready.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any

from ..core.errors import Conflict, Interrupted, NotTheSame, PipelineError
from ..core.events import Output, Reporter, Stage
from ..core.names import ALIAS, LATEST, release_in
from ..core.text import readable_size
from .aws_errors import Busy, Unanswered, explained_errors, hint
from .aws_session import Connection
from .observe import Alias, Observed, Wait, differences, read_alias, settled
from .plan import TAG, WEIGHT, Call, Later, Of, Plan, Step
from .releases import TOOK_BACK, deployed_description, moved, taken_back
from .smoke import refuse_answer
from .traffic import alarm_states, canary_mark, metric_delay
from .verdict import Held, Outcome, Verdict, figures_in, judge, watch

GO_ON = "Deploy again: a deploy continues where it stopped."
LOOK = "Look at the difference with `--dry-run`, then deploy again."


def apply(
    plan: Plan, code: bytes, connection: Connection, reporter: Reporter, wait: Wait
) -> Observed:
    """Carry out `plan` with the function zip, and return the version that was published for it.

    Every write names the revision that was planned on, where the service has revisions. Who
    asks to stop gets the step at hand finished, or taken back.
    Raises Conflict when somebody else changed the function meanwhile, NotTheSame when the
    service runs other code than was sent, Interrupted; what these say of the function is read anew.
    Raises Held when nothing certain can be said of a canary; its part of the calls stays with it.
    """
    work = _Work(plan, code, connection, wait, plan.alias, plan.made)
    found = plan.observed
    done: list[_Done] = []
    for step in plan.steps:
        held: Held | None = None
        if wait.stopped():
            stopped = Interrupted(found.name, f"stopped before the step {step.name}", GO_ON)
            raise _with_outcome(stopped, done, found, work, Stage("stop", reporter.emit))
        with reporter.stage(step.name) as stage:
            try:
                after = _carry_out(step, found, work, stage)
            except Held as error:
                # Whether it failed is what is not known.
                held, stage.text = error, Outcome.INCONCLUSIVE.value
            except PipelineError as error:
                raise _with_outcome(error, done, found, work, stage) from error
        if held:
            raise held
        done.append(_Done(step, found))
        found = after
    return work.made or found


@dataclass(frozen=True)
class _Done:
    """A step that was carried out, and what the function was like before it."""

    step: Step
    before: Observed


@dataclass
class _Work:
    """What every step needs, and what is there by now: the alias, and the version for it.

    `accepted` are the steps whose change of the function AWS took. `known` is what stands for parts
    of requests, as far as it is known by now.
    """

    plan: Plan
    code: bytes
    connection: Connection
    wait: Wait
    alias: Alias | None
    made: Observed | None
    accepted: list[Step] = field(default_factory=list)
    known: dict[Enum, object] = field(default_factory=dict)
    taken_back: bool = False

    def client(self, service: str) -> Any:
        """Return the client of a service."""
        there = self.connection
        return there.functions if service == "lambda" else there.clients(service)

    def filled(self, value: Any) -> Any:
        """Return a part of a request with what is known in place of what stands for it."""
        if isinstance(value, Mapping):
            return {self.filled(key): self.filled(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.filled(item) for item in value]
        if not isinstance(value, Enum):
            return value
        self.known[Later.FUNCTION_ZIP] = self.code
        self.known[Later.VERSION] = self.made and self.made.version
        return self.known[value]

    def settled(self, name: str, stage: Stage, version: str = LATEST) -> Observed:
        return settled(self.connection.functions, name, self.wait, stage, version)

    def send(self, call: Call, revision: str = "") -> Mapping[str, Any]:
        """Make a call; `revision` is left out where the service gives none."""
        request = self.filled(call.request)
        if call.revised and revision:
            request["RevisionId"] = revision
        with explained_errors(_target(call), call.permissions[0].action):
            answer: Mapping[str, Any] = getattr(self.client(call.service), call.method)(**request)
        return answer


def _target(call: Call) -> str:
    request = call.request
    if call.service == "s3":
        return f"s3://{request['Bucket']}/{request['Key']}"
    if call.service == "cloudwatch":
        return "CloudWatch"
    return str(request.get("FunctionName") or request["Resource"])


def _carry_out(step: Step, before: Observed, work: _Work, stage: Stage) -> Observed:
    """Return the function as it is after a step; the stage says what came of it."""
    if step.of is Of.OBJECT:
        work.send(step.call)
        stage.text = step.changes[0].planned
        return before
    if step.of is Of.VERSION:
        work.made = _publish(step, before, work, stage)
        stage.text = f"version {work.made.version}"
        # Publishing changes nothing of the function but its revision.
        after = work.settled(before.name, stage)
        _refuse_changes(before, before, after)
        return after
    if step.of is Of.ALIAS:
        work.alias = _move(step, before, work, stage)
        stage.text = f"{ALIAS} is {work.alias}"
        return before
    if step.of is Of.ANSWER:
        where = f"{before.name}:{work.made.version if work.made else before.version}"
        refuse_answer(work.send(step.call), step.sets["name"], step.sets["answer"], where)
        stage.text = f"{step.sets['name']} answered"
        return before
    if step.of is Of.VERDICT:
        verdict = _judge(step, before, work, stage)
        stage.text = f"{verdict.outcome.value}: {verdict.new}"
        return before
    if step.call.revised:
        answer = _send_under_revision(step, before, work, stage)
    else:
        # No revision protects this call: what is there is compared before it.
        now = work.settled(before.name, stage)
        _refuse_changes(before, before, now)
        _refuse_tags(step, now)
        answer = _send_when_free(step, now, work, stage)
    work.accepted.append(step)
    after = work.settled(before.name, stage)
    _prove(step, before, after, answer)
    stage.text = ", ".join(change.what.rpartition(" ")[2] for change in step.changes)
    if "code_sha256" in step.sets:
        stage.text = f"{readable_size(len(work.code))}, with the CodeSha256 of the build"
    if "tags" in step.sets and after.tags is None:
        stage.text += "; not read back, as lambda:ListTags is not allowed"
    return after


def _publish(step: Step, before: Observed, work: _Work, stage: Stage) -> Observed:
    """Publish what was proven to be there, and return the version when it is ready."""
    answer = _send_under_revision(step, before, work, stage)
    version = answer.get("Version")
    if not isinstance(version, str):
        what = "its answer to PublishVersion has no Version"
        raise PipelineError("AWS", what, GO_ON)
    work.accepted.append(step)
    made = work.settled(before.name, stage, version)
    _refuse_changes(before, before, made)
    return made


def _move(step: Step, before: Observed, work: _Work, stage: Stage) -> Alias:
    """Let the alias point to the version, or give it a part of the calls."""
    description, now = work.plan.wanted.description, work.connection.now()
    work.known[Later.MARK] = canary_mark(description, now)
    work.known[Later.MOVED] = deployed_description(
        description, work.alias, work.made, moved(now, work.connection.caller)
    )
    alias = _route(step, step.call, before, work, stage)
    work.accepted.append(step)
    return alias


def _route(step: Step, call: Call, before: Observed, work: _Work, stage: Stage) -> Alias:
    """Change the alias to what a step sets, under its own revision; return it as it is then."""
    there = work.alias
    if there is None or work.made is None:
        raise AssertionError  # a plan moves what is there, to what was published
    target = replace(there, **work.filled(step.sets))
    lost: PipelineError | None = None
    try:
        at = replace(before, revision_id=there.revision_id)
        _send_when_free(replace(step, call=call), at, work, stage)
    except (Conflict, Unanswered) as error:
        lost = error
    now = read_alias(work.connection.functions, before.name)
    if now and replace(now, revision_id=there.revision_id) == target:
        return now
    if lost and now and str(now) == str(there) and not isinstance(lost, Conflict):
        raise lost
    raise _moved(before.name, now, there)


def _moved(name: str, now: Alias | None, there: Alias) -> Conflict:
    return Conflict(
        name,
        f"somebody moved {ALIAS} after this deploy was planned.\n"
        f"  live now     {now or 'no alias'}\n"
        f"  planned on   {there}",
        LOOK,
    )


def _judge(step: Step, before: Observed, work: _Work, stage: Stage) -> Verdict:
    """Watch a canary. One that failed is taken back, one that nothing is known of is held."""
    canary, made, there, connection = work.plan.canary, work.made, work.alias, work.connection
    if canary is None or made is None or there is None:
        raise AssertionError  # a plan judges what it gave calls to

    rollout = canary.rollout

    def look(start: datetime, end: datetime, since: datetime) -> Verdict:
        work.alias = read_alias(connection.functions, before.name)
        if work.alias != there:
            raise _moved(before.name, work.alias, there)
        request, alarms = step.call.request, rollout.alarms
        timed = replace(step.call, request={**request, "StartTime": start, "EndTime": end})
        # At first nothing is old enough to be seen.
        answer = work.send(timed) if end > since else {}
        states = alarm_states(work.client("cloudwatch"), alarms) if alarms else {}
        red = [name for name, (state, at) in states.items() if state == "ALARM" and at > since]
        return judge(figures_in(answer), rollout.thresholds, red)

    delay = metric_delay(connection, made)
    verdict = watch(canary, there, delay, connection, work.wait, look, stage)
    if verdict.outcome is Outcome.HEALTHY:
        return verdict
    release = release_in(made.description)[0]
    what = f"{verdict.why}\n  version {made.version:<5}{verdict.new}"
    what += f"\n  version {there.version:<5}{verdict.stable}"
    if verdict.outcome is Outcome.INCONCLUSIVE:
        stage.emit(Output(WEIGHT, f"{100 * sum(there.weights.values()):g}"))
        raise Held(before.name, f"held, {there}: {what}")
    when = moved(connection.now())
    work.known[Later.TAKEN_BACK] = taken_back(TOOK_BACK, release, when, verdict.why)
    try:
        work.alias = _route(step, step.undo or step.call, before, work, stage)
    except PipelineError as error:
        what = f"the canary failed and could not be taken back: {error.what}\n{what}"
        raise type(error)(before.name, what, error.then) from error
    work.taken_back = True
    raise PipelineError(before.name, f"the canary failed: {what}", "Correct that and build again.")


def _send_under_revision(
    step: Step, before: Observed, work: _Work, stage: Stage
) -> Mapping[str, Any]:
    """Make a step's call and return its answer, an empty one where that was lost."""
    try:
        return _send_when_free(step, before, work, stage)
    except (Conflict, Unanswered):
        # The answer to an update of ours may have been lost, and the AWS client may have sent
        # it again: then what we wanted is there, and only the revision is another one.
        after = work.settled(before.name, stage)
        if step.sets and not differences(_target_state(step, before), after):
            return {}
        _refuse_changes(before, before, after)
        if step.of is not Of.VERSION:
            raise
        # Publishing the same once more gives the same version.
        return _send_when_free(step, after, work, stage)


def _send_when_free(step: Step, before: Observed, work: _Work, stage: Stage) -> Mapping[str, Any]:
    """Make a step's call under the function's revision, once no other update is under way."""
    start = work.wait.now()
    while True:
        try:
            return work.send(step.call, before.revision_id)
        except Busy as error:
            if work.wait.stopped():
                raise Interrupted(error.where, error.what, GO_ON) from error
            if work.wait.now() - start >= work.wait.ceiling:
                raise
            stage.progress(error.what)
            work.wait.pause()
            work.settled(before.name, stage)


def _target_state(step: Step, before: Observed) -> Observed:
    return replace(before, **{key: value for key, value in step.sets.items() if key != "tags"})


def _prove(step: Step, before: Observed, after: Observed, answer: Mapping[str, Any]) -> None:
    """Compare what the service says with what the step sets, in its answer and afterwards."""
    if after.update == "Failed":
        what = f"AWS dropped the update: {after.update_reason or 'it gives no reason'}"
        raise PipelineError(after.name, what, hint(after.update_reason))
    target = _target_state(step, before)
    taken = answer.get("CodeSha256", target.code_sha256)
    if "code_sha256" in step.sets and taken != target.code_sha256:
        # The answer to an upload is of that upload: what comes after it is somebody else's.
        what = f"the service took CodeSha256 {taken}, not {target.code_sha256}"
        then = "Does code signing or a proxy replace the code? Look at that, then deploy again."
        raise NotTheSame(after.name, what, then)
    # A service that takes no architecture says so by its answer; the caller sees it in the value.
    _refuse_changes(before, replace(target, architecture=after.architecture), after)
    wanted: Mapping[str, str] = step.sets.get("tags", {})
    there = wanted if after.tags is None else after.tags
    lost = sorted(key for key, value in wanted.items() if there.get(key) != value)
    if lost:
        what = f"the tags {', '.join(lost)} are not as they were just set"
        then = "Somebody changes them at the same time: look at the function, then deploy again."
        raise Conflict(after.name, what, then)


def _refuse_tags(step: Step, now: Observed) -> None:
    """Compare the tags that a step changes with what was planned on, where they can be read."""
    theirs = [
        change.what
        for change in step.changes
        if now.tags is not None
        and now.tags.get(change.what.removeprefix(TAG), "") not in (change.now, change.planned)
    ]
    if theirs:
        what = f"somebody changed the {', '.join(theirs)} after this deploy was planned"
        raise Conflict(now.name, what, LOOK)


def _refuse_changes(planned_on: Observed, expected: Observed, live: Observed) -> None:
    if not differences(expected, live):
        return
    changes = differences(planned_on, live)
    now = ", ".join(f"{name} {value}" for name, _, value in changes)
    then = ", ".join(f"{name} {value}" for name, value, _ in changes)
    when = f", changed {live.modified}" if live.modified else ""
    raise Conflict(
        live.name,
        f"somebody changed {live.name} after this deploy was planned.\n"
        f"  live now     {now or 'as planned on'}{when}\n"
        f"  planned on   {then or 'the same'}",
        LOOK,
    )


def _with_outcome(
    error: PipelineError, done: list[_Done], found: Observed, work: _Work, stage: Stage
) -> PipelineError:
    """Take back what can be, and return the error with where the function stands now.

    Only what is exactly as the last step left it is taken back, under its revision: no change of
    anybody else is overwritten, and a request of ours that arrives after that is refused.
    """
    accepted = " and ".join(_named(step) for step in work.accepted)
    try:
        live = work.settled(found.name, stage)
        as_left = not differences(found, live)
        if as_left and all(step.undo for step in work.accepted):
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
        if work.taken_back:
            outcome = f"All calls go to {work.alias} again."
        elif work.alias and work.accepted:
            # What calls an alias on $LATEST meets what was accepted.
            moved = any(one.of is Of.ALIAS for one in work.accepted)
            same = "" if moved or work.alias.version == LATEST else " as before"
            outcome += f" Traffic goes to {work.alias}{same}."
        if as_left and isinstance(error, Unanswered):
            is_stale = live.revision_id != found.revision_id
            late = "would be refused: its revision is old" if is_stale else "may yet be carried out"
            outcome += f" A request that is still on its way {late}."
    except PipelineError as second:
        outcome = f"AWS accepted {accepted or 'an update, perhaps'}; what is live now is not known "
        outcome += f"({second.what})."
    return type(error)(error.where, error.what, f"{outcome} {error.then}".strip())


def _undo(item: _Done, live: Observed, work: _Work, stage: Stage) -> Observed:
    if item.step.undo is None or item.step.of is not Of.FUNCTION:
        return live
    work.send(item.step.undo, live.revision_id)
    after = work.settled(live.name, stage)
    _refuse_changes(item.before, item.before, after)
    return after


def _named(step: Step) -> str:
    return f"{step.name} ({', '.join(change.what for change in step.changes)})"
