"""moto's Lambda with functions that really run: our processes in the place of its containers.

Replaced are three functions of moto: what HTTP calls reach, what its other services call and
wait for, and what they call without waiting (S3, SNS, log subscriptions).
moto's own way, which needs docker, is not reached any more.
"""

from __future__ import annotations

import base64
import contextlib
import json
import random
import time
import uuid
from functools import partial
from typing import Any
from urllib.parse import unquote

from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.models import LambdaBackend, LambdaFunction
from moto.awslambda.responses import LambdaResponse
from moto.awslambda.utils import get_backend
from moto.logs.exceptions import ResourceAlreadyExistsException
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from ..runtime.function_code import FunctionConfig
from ..runtime.invocation import Invocation
from ..runtime.pool import Pool, Target
from .asynchronous import AsyncQueue, Job
from .aws_http import REQUEST_ID
from .moto_aliases import chosen_version, through
from .moto_metrics import Calls, serve_metrics
from .moto_sources import Queues, serve_sources
from .patches import Patches
from .state import LocalAws

_SYNC_LIMIT = 6_291_456
_ASYNC_LIMIT = 1_048_576
_LAMBDA_RETRIES = 2


class _TooLargeError(LambdaClientError):
    code = 413


class Execution:
    """Runs moto's functions in the pool, writes their logs, and retries asynchronous events.

    Functions get the address of `aws`, and a key for it.
    """

    def __init__(self, pool: Pool, aws: LocalAws) -> None:
        self._pool = pool
        self._aws = aws
        # The same calls go to the same versions after each start.
        self._draw = random.Random(0).random  # noqa: S311 - nothing secret
        self._calls = Calls()
        self.queue = AsyncQueue(
            lambda job: self.run(job.function, job.payload, request_id=job.request_id),
            _to_dead_letters,
            _retries,
        )
        self._queues = Queues(self.run)

    def run(
        self, function: Any, payload: bytes, *, request_id: str = "", context: str = ""
    ) -> Invocation:
        """Invoke once, wait, and write the log to CloudWatch Logs.

        An alias leads to the version it has, or has weights for, by now. Raises ThrottledError
        when the function's reserved concurrency is in use.
        """
        function = self._routed(function)
        target = self._target(function)
        request_id = request_id or str(uuid.uuid4())
        with self._calls.counted(function, _reserved(function)) as measured:
            done = self._pool.invoke(
                target,
                payload,
                request_id=request_id,
                client_context=context,
                invoked_arn=function.function_arn,
            )
            measured["Duration"] = round(done.figures.seconds * 1000, 2)
            measured["Errors"] = int(done.error is not None)
        _write_log(function, target.config.group(), done)
        return done

    def close(self) -> None:
        """Stop the queues and every process."""
        self._queues.close()
        self.queue.close()
        self._pool.close()

    def _routed(self, function: Any) -> Any:
        alias = getattr(function, "alias", None)
        if alias is None:
            return function
        backend = get_backend(function.account_id, function.region)
        version = chosen_version(alias, self._draw)
        return through(backend.get_function(function.function_name, version), alias)

    def _target(self, function: Any) -> Target:
        logging = function.kept["LoggingConfig"]
        config = FunctionConfig(
            name=function.function_name,
            version=str(function.version),
            memory=int(function.memory_size),
            timeout=float(function.timeout),
            region=function.region,
            runtime=function.run_time or "",
            environment=dict(function.environment_vars or {}),
            endpoint=self._aws.endpoint,
            access_key=self._aws.function_key,
            secret_key=self._aws.function_secret,
            log_group=logging["LogGroup"],
            log_format=logging["LogFormat"],
            log_level=logging.get("ApplicationLogLevel", ""),
            system_log_level=logging.get("SystemLogLevel", "INFO"),
        )
        return Target(config, function.handler or "", function.code_sha_256, function.code_bytes)


def replace_execution(patches: Patches, execution: Execution) -> None:
    """Let every invocation, however it comes, run through `execution`."""
    patches.replace(LambdaResponse, "invoke", partial(_http_invoke, execution))
    patches.replace(LambdaBackend, "invoke", partial(_waiting_invoke, execution))
    patches.replace(LambdaFunction, "invoke", partial(_sending_invoke, execution))
    serve_sources(patches, execution.queue.add)
    serve_metrics(patches)


def _http_invoke(execution: Execution, self: Any) -> tuple[int, dict[str, str], bytes]:
    name = unquote(self.path.rsplit("/", 2)[-2])
    qualifier = self.querystring.get("Qualifier", [None])[0]
    function = self.backend.get_function(name, qualifier)
    kind = self.headers.get("X-Amz-Invocation-Type") or "RequestResponse"
    payload = _payload(self.body, kind)
    if kind == "DryRun":
        return 204, {"status": "204"}, b""
    if kind == "Event":
        request_id = execution.queue.add(function, payload)
        return 202, {"status": "202", REQUEST_ID: request_id}, b""
    context = _context(self.headers.get("X-Amz-Client-Context") or "")
    done = execution.run(function, payload, context=context)
    headers = _headers(done)
    if self.headers.get("X-Amz-Log-Type") == "Tail":
        headers["x-amz-log-result"] = base64.b64encode(done.log_tail()).decode()
    return 200, headers, done.payload


def _waiting_invoke(
    execution: Execution,
    self: Any,
    function_name: str,
    qualifier: str | None,
    body: Any,
    headers: Any,  # noqa: ARG001
    response_headers: Any,
) -> bytes:
    done = execution.run(self.get_function(function_name, qualifier), _encoded(body))
    response_headers.update(_headers(done))
    return done.payload


def _sending_invoke(
    execution: Execution,
    self: Any,
    body: Any,
    request_headers: Any,  # noqa: ARG001
    response_headers: Any,  # noqa: ARG001
) -> bytes:
    execution.queue.add(self, _encoded(body))
    return b""


def _payload(body: Any, kind: str) -> bytes:
    payload = _encoded(body)
    limit = _ASYNC_LIMIT if kind == "Event" else _SYNC_LIMIT
    if len(payload) > limit:
        message = (
            f"{len(payload)} byte payload is too large for the {kind} invocation type "
            f"(limit {limit} bytes)"
        )
        raise _TooLargeError("RequestTooLargeException", message)
    try:
        json.loads(payload)
    except ValueError as error:
        message = f"Could not parse request body into json: {error}"
        raise LambdaClientError("InvalidRequestContentException", message) from error
    return payload


def _context(header: str) -> str:
    """Return the client's context on one line, as it travels in a header."""
    try:
        return json.dumps(json.loads(base64.b64decode(header))) if header else ""
    except ValueError as error:
        message = "Client context must be a valid Base64-encoded JSON object."
        raise LambdaClientError("InvalidRequestContentException", message) from error


def _encoded(body: Any) -> bytes:
    if isinstance(body, str):
        body = body.encode()
    return bytes(body or b"{}")


def _headers(done: Invocation) -> dict[str, str]:
    headers = {
        "content-type": "application/json",
        REQUEST_ID: done.request_id,
        "x-amz-executed-version": done.version,
    }
    if done.error:
        headers["x-amz-function-error"] = done.error
    return headers


def _write_log(function: Any, group: str, done: Invocation) -> None:
    now = int(time.time() * 1000)
    # One event a line, but a trace is one event: the runtime client marks it by its returns.
    events = [
        {"timestamp": now, "message": line.replace("\r", "\n") + "\n"}
        for line in done.log.split("\n")
        if line
    ]
    backend = function.logs_backend
    if group not in backend.groups:
        try:
            get_backend(function.account_id, function.region).get_function(function.function_name)
        except LambdaClientError:
            return  # it ran on after it was deleted: its role is gone, and makes no group
        backend.ensure_log_group(group)
    # A warm process goes on in its stream.
    with contextlib.suppress(ResourceAlreadyExistsException):
        backend.create_log_stream(group, done.log_stream)
    backend.put_log_events(group, done.log_stream, events)


def _reserved(function: Any) -> int | None:
    backend = get_backend(function.account_id, function.region)
    reserved: int | None = backend.get_function(function.function_name).reserved_concurrency
    return reserved


def _retries(function: Any) -> int:
    """Return how often a failed event is tried again, the function's own setting first."""
    for config in function.event_invoke_config:
        if "MaximumRetryAttempts" in config.config:
            return int(config.config["MaximumRetryAttempts"])
    return _LAMBDA_RETRIES


def _to_dead_letters(job: Job, outcome: Invocation) -> None:
    function = job.function
    arn = (function.kept.get("DeadLetterConfig") or {}).get("TargetArn", "")
    if not arn:
        return
    _, _, service, region, account, name = arn.split(":", 5)
    message = job.payload.decode()
    if service == "sns":
        sns_backends[account][region].publish(message=message, arn=arn)
        return
    error = json.loads(outcome.payload or b"{}").get("errorMessage", outcome.error_type)
    attributes = {
        "RequestID": {"DataType": "String", "StringValue": job.request_id},
        "ErrorCode": {"DataType": "Number", "StringValue": "200"},
        "ErrorMessage": {"DataType": "String", "StringValue": str(error)[:1024] or "unknown"},
    }
    sqs_backends[account][region].send_message(name, message, message_attributes=attributes)
