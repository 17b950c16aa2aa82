"""The executor of a plan: configuration, then code, then tags, each proven by reading it back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..errors import Conflict, NotTheSame, PipelineError
from ..report.events import Reporter, Stage
from ..report.words import size
from ..values.plan import CODE, CONFIGURATION, TAGS, Observed, Plan
from .faults import Busy, faults, hint
from .function import Wait, settled
from .session import LambdaClient, MakeClient

__all__ = ["Code", "Through", "apply"]

_COMPARED = ("runtime", "handler", "description", "architecture", "code_sha256")


@dataclass(frozen=True)
class Through:
    """The object in S3 that a function zip goes through; `client` makes an S3 client."""

    bucket: str
    key: str
    client: MakeClient


@dataclass(frozen=True)
class Code:
    """A function zip, sent in the request unless it has to go `through` S3."""

    data: bytes
    through: Through | None = None


@dataclass(frozen=True)
class _Work:
    """What every step needs; `stage` is the one under way."""

    plan: Plan
    code: Code
    client: LambdaClient
    wait: Wait
    stage: Stage


def apply(plan: Plan, code: Code, client: LambdaClient, reporter: Reporter, wait: Wait) -> Observed:
    """Carry out `plan` with the function zip, and return what the service says then.

    Every write names the revision that was planned on, where the service has revisions.
    Raises Conflict when somebody else changed the function meanwhile, NotTheSame when the
    service runs other code than was sent.
    """
    executors: Mapping[str, Callable[[_Work, Observed], Observed]] = {
        CONFIGURATION: _configure,
        CODE: _upload,
        TAGS: _tag,
    }
    found = plan.observed
    done: list[str] = []
    for step in plan.steps:
        with reporter.stage(step) as stage:
            try:
                found = executors[step](_Work(plan, code, client, wait, stage), found)
            except PipelineError as error:
                raise _with_what_was_done(error, done) from error
        done.append(step)
    return found


def _with_what_was_done(error: PipelineError, done: list[str]) -> PipelineError:
    said = f"Already done: {', '.join(done)}." if done else "Nothing was changed."
    if not done and not isinstance(error, Conflict):
        return error
    return type(error)(error.where, error.what, f"{said} {error.then}".strip())


def _configure(work: _Work, before: Observed) -> Observed:
    wanted = work.plan.wanted
    environment = {**before.environment, **wanted.environment}
    target = replace(
        before,
        runtime=wanted.runtime,
        handler=wanted.handler,
        description=wanted.description,
        environment=environment,
    )
    request: dict[str, Any] = {"FunctionName": before.name}
    for key, field in (
        ("Runtime", "runtime"),
        ("Handler", "handler"),
        ("Description", "description"),
    ):
        if getattr(before, field) != getattr(target, field):
            request[key] = getattr(target, field)
    if environment != before.environment:
        # Lambda replaces the environment as a whole, so the keys of others are sent along.
        request["Environment"] = {"Variables": environment}
    call = partial(work.client.update_function_configuration, **request)
    after = _update(work, before, target, "lambda:UpdateFunctionConfiguration", call)
    work.stage.text = _count(work.plan, CONFIGURATION, "setting")
    return after


def _upload(work: _Work, before: Observed) -> Observed:
    wanted = work.plan.wanted
    target = replace(before, architecture=wanted.architecture, code_sha256=wanted.code_sha256)
    call = partial(
        work.client.update_function_code,
        FunctionName=before.name,
        **_sent(work),
        # Left out, it would fall back to x86_64.
        Architectures=[wanted.architecture],
    )
    after = _update(work, before, target, "lambda:UpdateFunctionCode", call)
    work.stage.text = f"{size(len(work.code.data))}, CodeSha256 {after.code_sha256}"
    return after


def _sent(work: _Work) -> dict[str, Any]:
    """Put the code where the update finds it, and return the request's words for that."""
    data, through = work.code.data, work.code.through
    if through is None:
        return {"ZipFile": data}
    with faults(f"s3://{through.bucket}/{through.key}", "s3:PutObject"):
        through.client().put_object(
            Bucket=through.bucket,
            Key=through.key,
            Body=data,
            # Lambda's hash of the code is the same one: S3 takes no other bytes.
            ChecksumSHA256=work.plan.wanted.code_sha256,
        )
    return {"S3Bucket": through.bucket, "S3Key": through.key}


def _tag(work: _Work, before: Observed) -> Observed:
    tags = work.plan.wanted.tags
    with faults(before.name, "lambda:TagResource"):
        work.client.tag_resource(Resource=before.arn, Tags=dict(tags))
    work.stage.text = _count(work.plan, TAGS, "tag")
    return replace(before, tags={**before.tags, **tags})


def _count(plan: Plan, step: str, thing: str) -> str:
    count = sum(change.step == step for change in plan.changes)
    return f"{count} {thing}{'' if count == 1 else 's'}"


def _update(
    work: _Work, before: Observed, target: Observed, permission: str, call: Callable[..., object]
) -> Observed:
    revision = {"RevisionId": before.revision_id} if before.revision_id else {}
    start = work.wait.now()
    while True:
        try:
            with faults(before.name, permission):
                call(**revision)
            break
        except Busy as error:
            if work.wait.now() - start >= work.wait.ceiling:
                raise
            work.stage.progress(error.what)
            work.wait.sleep(work.wait.interval)
            settled(work.client, before.name, work.wait, work.stage)
        except Conflict as error:
            # The answer to an update of ours may have been lost, and the AWS client sent it
            # again: then what we wanted is there, and only the revision is another one.
            after = settled(work.client, before.name, work.wait, work.stage)
            if _differences(target, after):
                raise _changed_meanwhile(before, after) from error
            break
    after = settled(work.client, before.name, work.wait, work.stage)
    _refuse_what_failed(after, before, target)
    return after


def _refuse_what_failed(after: Observed, before: Observed, target: Observed) -> None:
    if after.update == "Failed":
        raise PipelineError(
            after.name,
            f"AWS dropped the update: {after.update_reason or 'it gives no reason'}",
            f"What ran before still runs. {hint(after.update_reason)}".strip(),
        )
    if after.code_sha256 != target.code_sha256:
        raise NotTheSame(
            after.name,
            f"the service runs CodeSha256 {after.code_sha256}, the package holds "
            f"{target.code_sha256}",
            "Somebody deployed other code meanwhile, or code signing replaces it: look at the "
            "function, then deploy again.",
        )
    # A service that takes no architecture says so by its answer; the caller sees it in the value.
    others = _differences(replace(target, architecture=after.architecture), after)
    if others:
        raise _changed_meanwhile(before, after)


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


def _changed_meanwhile(planned_on: Observed, live: Observed) -> Conflict:
    changes = _differences(planned_on, live)
    if changes:
        now = ", ".join(f"{name} {value}" for name, _, value in changes)
        then = ", ".join(f"{name} {value}" for name, value, _ in changes)
    else:
        now, then = f"revision {live.revision_id}", f"revision {planned_on.revision_id}"
    when = f", changed {live.modified}" if live.modified else ""
    return Conflict(
        live.name,
        f"somebody changed {live.name} after this deploy was planned.\n"
        f"  live now     {now}{when}\n"
        f"  planned on   {then}",
        "Look at the difference with `--dry-run`, then deploy again.",
    )
