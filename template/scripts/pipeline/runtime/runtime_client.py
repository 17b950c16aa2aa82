"""The compiled part of AWS's runtime client, in Python, for machines that it has no wheel for.

Its four functions, with the arguments and answers of the original. A copy lies beside the client's
own Python files and runs inside the function's process: standard library only.
"""

from __future__ import annotations

import http.client
import os

_DEADLINE = "Lambda-Runtime-Deadline-Ms"
_SUCCESS = range(200, 300)
_host, _, _secret = os.environ["AWS_LAMBDA_RUNTIME_API"].partition("/")
_connection = http.client.HTTPConnection(_host)
_agent = ""


def initialize_client(user_agent: str) -> None:
    """Keep the name that requests are sent under."""
    global _agent  # noqa: PLW0603 - the original is a module with one client too
    _agent = user_agent


def next() -> tuple[bytes, dict[str, str | int | None]]:  # noqa: A001 - the original's name
    """Wait for an event; return it with its headers, empty ones as None."""
    headers, event = _call("GET", "next", {}, None, "Failed to get next")
    found: dict[str, str | int | None] = {
        name.title(): value.encode("latin-1").decode("utf-8", "replace") or None
        for name, value in headers.items()
    }
    return event, {**found, _DEADLINE: int(found.get(_DEADLINE) or 0)}


def post_invocation_result(
    request_id: str, result: bytes, content_type: str, invocation_id: str | None
) -> None:
    """Send the function's answer."""
    headers = {"Content-Type": content_type, "Lambda-Runtime-Invocation-Id": invocation_id}
    _call("POST", f"{request_id}/response", headers, result, "Failed to post invocation response")


def post_error(request_id: str, error: str, xray_fault: str, invocation_id: str | None) -> None:
    """Send what the function raised."""
    headers = {
        "Content-Type": "application/json",
        "Lambda-Runtime-Function-XRay-Error-Cause": xray_fault,
        "Lambda-Runtime-Invocation-Id": invocation_id,
    }
    body = error.encode()
    _call("POST", f"{request_id}/error", headers, body, "Failed to post invocation error")


def _call(
    method: str, path: str, headers: dict[str, str | None], body: bytes | None, problem: str
) -> tuple[http.client.HTTPMessage, bytes]:
    given = {name: value.encode() for name, value in headers.items() if value}
    address = f"/{_secret}/2018-06-01/runtime/invocation/{path}"
    try:
        _connection.request(method, address, body, {"User-Agent": _agent, **given})
        response = _connection.getresponse()
        answer = response.read()
    except (OSError, http.client.HTTPException) as error:
        _connection.close()
        raise RuntimeError(f"{problem}: {error!r}") from error
    if response.status not in _SUCCESS:
        raise RuntimeError(f"{problem}: {response.status}")
    return response.headers, answer
