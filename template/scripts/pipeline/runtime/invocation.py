"""What came of an invocation, in Lambda's words: payload, kind of error, log, figures."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from .api import RESPONSE_LIMIT, ProcessEvent

UNHANDLED = "Unhandled"
_LARGEST_SIGNAL = 64
_TAIL = 4096
_SIGNALS = {6: "aborted", 9: "killed", 11: "segmentation fault", 15: "terminated"}


@dataclass(frozen=True)
class Figures:
    """Times in seconds, peak memory in MB (None where the machine does not tell)."""

    seconds: float
    init_seconds: float | None
    max_memory: int | None

    @property
    def billed_ms(self) -> int:
        """Milliseconds that AWS would bill: initialisation counts since August 2025."""
        return max(1, math.ceil((self.seconds + (self.init_seconds or 0)) * 1000))


@dataclass(frozen=True)
class Invocation:
    """An invocation's outcome. `error` is None or `Unhandled`; `log` ends with its REPORT line.

    Within one log event AWS's runtime client writes carriage returns instead of newlines.
    """

    request_id: str
    version: str
    payload: bytes
    error: str | None
    error_type: str
    log: str
    log_stream: str
    figures: Figures

    def readable_log(self) -> str:
        """Return the log as a person reads it: traces on lines of their own."""
        return self.log.replace("\r", "\n").replace("\N{NO-BREAK SPACE}", " ")

    def log_tail(self) -> bytes:
        """Return the last 4 KB of the log, as Lambda does for `LogType=Tail`."""
        return self.readable_log().encode()[-_TAIL:]


def outcome(request_id: str, ending: ProcessEvent, timeout: float) -> tuple[str, bytes]:
    """Return the error's type (empty for an answer) and the payload the caller gets."""
    if ending.kind == "answer":
        return "", ending.body
    if ending.kind == "timeout":
        reason = f"Task timed out after {timeout:.2f} seconds"
        return _error("Sandbox.Timedout", f"RequestId: {request_id} Error: {reason}")
    if ending.kind == "exit":
        reason = _reason(ending.code)
        return _error("Runtime.ExitError", f"RequestId: {request_id} Error: {reason}")
    if ending.kind == "too-large":
        message = "Response payload size exceeded maximum allowed payload size"
        return _error("Function.ResponseSizeTooLarge", f"{message} ({RESPONSE_LIMIT} bytes).")
    return ending.error_type or posted_type(ending.body), ending.body


def _reason(code: int) -> str:
    if code == 0:
        return "Runtime exited without providing a reason"
    if -_LARGEST_SIGNAL <= code < 0:
        return f"Runtime exited with error: signal: {_SIGNALS.get(-code, -code)}"
    return f"Runtime exited with error: exit status {code}"


def posted_type(body: bytes) -> str:
    """Return the type of the error that a function posted as its answer."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return "Unknown"
    return str(document.get("errorType", "Unknown")) if isinstance(document, dict) else "Unknown"


def _error(kind: str, message: str) -> tuple[str, bytes]:
    return kind, json.dumps({"errorType": kind, "errorMessage": message}).encode()
