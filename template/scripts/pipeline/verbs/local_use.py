"""Using what was deployed to the embedded AWS: call it, feed its bucket or queue, read its log."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..core.errors import PipelineError
from ..core.events import Reporter
from ..core.names import ALIAS, resource_name
from ..deploy.plan import RELEASE_TAG
from ..edge.machine import Machine
from ..local.background import running
from ..local.clients import client
from ..local.state import LocalAws
from ..project.project import LOCAL_ENVIRONMENT, Project
from ..runtime.invocation import Figures, Invocation, posted_type
from ..stack.change_set import outputs_of
from .local import lay_out, state_file
from .run import check_event, show

# What would lead a client elsewhere, whatever else it is told.
FOREIGN = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN")
# Longer than any function may take; the embedded AWS itself ends those that take too long.
_LONGEST_CALL = 1000
_TAIL = 4096
_BUCKET = "AWS::S3::Bucket"


def local_aws(project: Project, machine: Machine) -> LocalAws:
    """Return the project's running embedded AWS. Raises PipelineError where none runs."""
    machine.tooling("local")
    aws = running(state_file(project.root))
    if aws is None:
        raise PipelineError(
            "local", "no embedded AWS is running", "Run `python3 tasks.py deploy local`."
        )
    return aws


def invoke_local(
    project: Project, events: Sequence[bytes], machine: Machine, reporter: Reporter
) -> list[Invocation]:
    """Call the deployed function with one event after another; show logs and answers.

    The objects that S3 events name are put there first. A failing function is not an error here:
    see the invocations.
    """
    from botocore.config import Config  # noqa: PLC0415 - comes with the local tooling

    for number, event in enumerate(events, 1):
        check_event(number, event)
    aws, name = local_aws(project, machine), _name(project)
    lay_out(events, project.root, aws, reporter)
    lambdas = client(aws, "lambda", Config(read_timeout=_LONGEST_CALL))
    with _explained(project):
        if RELEASE_TAG not in lambdas.get_function(FunctionName=name).get("Tags", {}):
            then = "Run `python3 tasks.py deploy local`."
            raise PipelineError("local.invoke", f"nothing is deployed to {name} yet", then)
        aliases = [one["Name"] for one in lambdas.list_aliases(FunctionName=name)["Aliases"]]
        place = {"Qualifier": ALIAS} if ALIAS in aliases else {}
        done = []
        for event in events:
            answer = lambdas.invoke(FunctionName=name, LogType="Tail", Payload=event, **place)
            done.append(_invocation(answer))
            show(done[-1], reporter)
    return done


def put_local(
    project: Project, file: Path, key: str, machine: Machine, reporter: Reporter
) -> dict[str, str]:
    """Put a file into the stack's bucket, by its own name without `key`; return bucket and key.

    Where the stack has a queue and no bucket, its text is sent as a message: queue and message are
    returned, and `key` is the message's group, which a FIFO queue needs.
    """
    aws = local_aws(project, machine)
    try:
        data = file.read_bytes()
    except OSError as error:
        what = f"{file}: {error.strerror}"
        raise PipelineError("local.put", what, "Name a file on this machine.") from error
    with _explained(project):
        cloudformation = client(aws, "cloudformation")
        (stack,) = cloudformation.describe_stacks(StackName=_name(project))["Stacks"]
        outputs = outputs_of(stack)
        if "QueueUrl" in outputs and "BucketName" not in outputs:
            done = _send(client(aws, "sqs"), outputs["QueueUrl"], file, data, key)
            said = f"as message {done['message']} to {done['queue']}"
        else:
            bucket = outputs.get("BucketName") or _bucket(cloudformation, _name(project))
            done = {"bucket": bucket, "key": key or file.name}
            client(aws, "s3").put_object(Bucket=bucket, Key=done["key"], Body=data)
            said = f"to s3://{bucket}/{done['key']}"
    reporter.line(f"  put       {len(data)} bytes {said}")
    reporter.line("  next      `python3 tasks.py local.logs` shows what the function made of it")
    return done


def _send(sqs: Any, url: str, file: Path, data: bytes, key: str) -> dict[str, str]:
    try:
        text = data.decode()
    except UnicodeError as error:
        then = "Write what is no text as base64."
        raise PipelineError("local.put", f"{file} is no text, as messages are", then) from error
    group = {"MessageGroupId": key} if key else {}
    if url.endswith(".fifo"):
        group = {"MessageGroupId": key or file.name, "MessageDeduplicationId": str(uuid.uuid4())}
    sent = sqs.send_message(QueueUrl=url, MessageBody=text, **group)
    return {"queue": url.rpartition("/")[2], "message": sent["MessageId"]}


def _name(project: Project) -> str:
    return resource_name(LOCAL_ENVIRONMENT, project.function.name)


@contextmanager
def _explained(project: Project) -> Iterator[None]:
    """Say what to do about what the embedded AWS refuses, and when it is gone."""
    from botocore.exceptions import (  # noqa: PLC0415 - comes with the local tooling
        BotoCoreError,
        ClientError,
        EndpointConnectionError,
        HTTPClientError,
    )

    try:
        yield
    except (EndpointConnectionError, HTTPClientError) as error:
        then = "Run `python3 tasks.py deploy local`."
        raise PipelineError("local", "the embedded AWS has stopped", then) from error
    except (BotoCoreError, ClientError) as error:
        then = "Run `python3 tasks.py deploy local`, which makes the stack and deploys."
        raise PipelineError(f"local {_name(project)}", str(error), then) from error


def _bucket(cloudformation: Any, stack: str) -> str:
    """Return the stack's only bucket."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    resources = [one for page in pages for one in page["StackResourceSummaries"]]
    names = [one["PhysicalResourceId"] for one in resources if one["ResourceType"] == _BUCKET]
    if len(names) == 1:
        return str(names[0])
    what = f"it has {len(names)} buckets: {', '.join(names)}" if names else "it has no bucket"
    raise PipelineError(f"stack {stack}", what, "Let its output BucketName name the one to use.")


def _invocation(answer: dict[str, Any]) -> Invocation:
    payload, error = answer["Payload"].read(), answer.get("FunctionError")
    log = base64.b64decode(answer.get("LogResult", "")).decode(errors="replace")
    if len(log.encode()) >= _TAIL:
        log = f"[the last 4 KB; `python3 tasks.py local.logs` shows all]\n{log}"
    return Invocation(
        request_id=answer["ResponseMetadata"]["RequestId"],
        version=answer.get("ExecutedVersion", ""),
        payload=payload,
        error=error,
        error_type=posted_type(payload) if error else "",
        log=log,
        log_stream="",
        figures=Figures(0.0, None, None),
    )
