"""A small client of the Lambda Runtime API, for machines that have no wheel of AWS's own.

It runs inside the function's process, never in ours: standard library only, imports nothing of
the pipeline, and is executed with `HANDLER` set. Error shapes are those of the runtime client.
"""

from __future__ import annotations

import http.client
import importlib
import json
import logging
import os
import sys
import time
import traceback
from types import TracebackType
from typing import Any

_PREFIX = "/2018-06-01/runtime"


class Context:
    """What a handler gets as its second argument, by the names AWS documents."""

    def __init__(self, headers: http.client.HTTPMessage) -> None:
        environ = os.environ
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.function_name = environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.client_context = None
        self.identity = None
        self._deadline = int(headers["Lambda-Runtime-Deadline-Ms"])

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left before the function is stopped."""
        return max(0, self._deadline - int(time.time() * 1000))


class _FaultError(Exception):
    def __init__(self, kind: str, message: str, trace: list[str] | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.trace = trace or []


class _Formatter(logging.Formatter):
    converter = staticmethod(time.gmtime)
    request_id = ""

    def format(self, record: logging.LogRecord) -> str:
        record.aws_request_id = self.request_id
        return super().format(record)


def _find(handler: str) -> Any:
    module_name, dot, name = handler.rpartition(".")
    if not dot:
        raise _FaultError("Runtime.MalformedHandlerName", f"Bad handler '{handler}'")
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        message = f"Unable to import module '{module_name}': {error}"
        raise _FaultError("Runtime.ImportModuleError", message) from error
    except SyntaxError as error:
        message = f"Syntax error in module '{module_name}': {error}"
        trace = [f'  File "{error.filename}" Line {error.lineno}\n    {error.text}']
        raise _FaultError("Runtime.UserCodeSyntaxError", message, trace) from error
    if not hasattr(module, name):
        message = f"Handler '{name}' missing on module '{module_name}'"
        raise _FaultError("Runtime.HandlerNotFound", message)
    return getattr(module, name)


def _described(error: BaseException, request_id: str) -> dict[str, Any]:
    if isinstance(error, _FaultError):
        kind, trace = error.kind, error.trace
    else:
        kind, trace = type(error).__name__, _frames(error.__traceback__)
    return {
        "errorMessage": str(error),
        "errorType": kind,
        "requestId": request_id,
        "stackTrace": trace,
    }


def _frames(trace: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace)
    own = [frame for frame in frames if frame.filename != _find.__code__.co_filename]
    return traceback.format_list(own)


def _log(described: dict[str, Any]) -> None:
    lines = [f"[ERROR] {described['errorType']}: {described['errorMessage']}"]
    lines.append("Traceback (most recent call last):")
    for element in described["stackTrace"]:
        lines += element.splitlines()
    sys.stdout.write("\r".join(lines) + "\n")


def _post(connection: http.client.HTTPConnection, path: str, body: bytes, kind: str = "") -> int:
    headers = {"Content-Type": "application/json"}
    if kind:
        headers["Lambda-Runtime-Function-Error-Type"] = kind
    connection.request("POST", _PREFIX + path, body, headers)
    response = connection.getresponse()
    response.read()
    return response.status


def _answer(handler: Any, event: bytes, context: Context) -> bytes:
    try:
        decoded = json.loads(event)
    except ValueError as error:
        raise _FaultError(
            "Runtime.UnmarshalError", f"Unable to unmarshal input: {error}"
        ) from error
    result = handler(decoded, context)
    try:
        return json.dumps(result).encode()
    except (TypeError, ValueError) as error:
        raise _FaultError("Runtime.MarshalError", f"Unable to marshal response: {error}") from error


def _serve(connection: http.client.HTTPConnection, handler: Any, formatter: _Formatter) -> None:
    while True:
        connection.request("GET", f"{_PREFIX}/invocation/next")
        response = connection.getresponse()
        event = response.read()
        context = Context(response.headers)
        request_id = formatter.request_id = context.aws_request_id
        os.environ["_X_AMZN_TRACE_ID"] = response.headers["Lambda-Runtime-Trace-Id"] or ""
        try:
            answer = _answer(handler, event, context)
        except Exception as error:  # noqa: BLE001 - whatever the function raises is its answer
            described = _described(error, request_id)
            _log(described)
            body = json.dumps(described).encode()
            _post(connection, f"/invocation/{request_id}/error", body, described["errorType"])
        else:
            # An answer that was too large is reported by the server; the process goes on.
            _post(connection, f"/invocation/{request_id}/response", answer)


def main(handler_name: str, address: str) -> int:
    """Import the handler and serve invocations until the server goes away."""
    formatter = _Formatter(
        "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s",
        "%Y-%m-%dT%H:%M:%S",
    )
    logs = logging.StreamHandler(sys.stdout)
    logs.setFormatter(formatter)
    logging.getLogger().addHandler(logs)
    connection = http.client.HTTPConnection(address)
    try:
        handler = _find(handler_name)
    except Exception as error:  # noqa: BLE001 - whatever the function raises is its answer
        described = _described(error, "")
        _log(described)
        _post(connection, "/init/error", json.dumps(described).encode(), described["errorType"])
        return 1
    try:
        _serve(connection, handler, formatter)
    except (OSError, http.client.HTTPException):
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(globals()["HANDLER"], os.environ["AWS_LAMBDA_RUNTIME_API"]))
