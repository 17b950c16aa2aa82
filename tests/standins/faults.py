"""A place between a client and an AWS where any call may go wrong, by script, over real HTTP."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from urllib.parse import parse_qs, urlsplit

import botocore.session

from tests.standins.loopback import NO_ANSWER, Answer, Asked, serving

Forward = Callable[[], Answer]
# What becomes of a call; it lets the AWS behind answer by calling what it is given, or does not.
Fault = Callable[[Forward], Answer]
_READS = ("Get", "List", "Describe", "Head", "Assume")


@dataclass
class Faults:
    """A running script. `calls` are the operations that were asked for, in order.

    `script` holds what becomes of the next calls of an operation, one after the other; `at` what
    becomes of the call with that number, from 0, whatever it is.
    """

    target: str
    calls: list[str] = field(default_factory=list)
    script: dict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    at: dict[int, Fault] = field(default_factory=dict)
    url: str = ""
    _dropped: dict[str, str] = field(default_factory=dict)
    _asked: Asked = field(init=False)

    def drop_update(self, operation: str, reason: str) -> None:
        """Let the next such update be taken, and fail later: what was there goes on running.

        `reason` is a LastUpdateStatusReasonCode.
        """

        def taken(_: Forward) -> Answer:
            self._dropped = _last_update("Failed", reason)
            folder = urlsplit(self._asked.path).path.rpartition("/")[0]
            answer = self._forward(
                replace(self._asked, method="GET", path=f"{folder}/configuration")
            )
            now = {**json.loads(answer.body), **_last_update("InProgress", "Creating")}
            return Answer(200, json.dumps(now).encode())

        self.script[operation].append(taken)

    def refusal(self, status: int, code: str, message: str = "as scripted") -> Fault:
        """Return a refusal that is written as the service that is asked writes one."""
        return lambda _: _refusal(self._asked, status, code, message)

    def forget(self) -> None:
        """Begin again, without faults."""
        self.calls.clear()
        self.script.clear()
        self.at.clear()
        self._dropped = {}

    def take(self, asked: Asked) -> Answer:
        """Answer a request, or let it be answered."""
        operation = operation_of(asked)
        number = len(self.calls)
        self.calls.append(operation)
        self._asked = asked
        planned = self.script[operation]
        fault = self.at.pop(number, None) or (planned.popleft() if planned else None)

        def forward() -> Answer:
            return self._forward(asked)

        if fault:
            return fault(forward)
        if operation.startswith("UpdateFunction"):
            self._dropped = {}
        answer = forward()
        return self._as_dropped(answer) if operation.startswith("GetFunction") else answer

    def _as_dropped(self, answer: Answer) -> Answer:
        if not self._dropped:
            return answer
        document = json.loads(answer.body)
        document.get("Configuration", document).update(self._dropped)
        return Answer(answer.status, json.dumps(document).encode(), answer.headers)

    def _forward(self, asked: Asked) -> Answer:
        there = urlsplit(self.target).netloc
        headers = {**asked.headers, "host": there, "content-length": str(len(asked.body))}
        with closing(http.client.HTTPConnection(there)) as connection:
            connection.request(asked.method, asked.path, asked.body, headers)
            answer = connection.getresponse()
            kept = {
                name: value
                for name, value in answer.getheaders()
                if name.lower() not in {"content-length", "connection", "server", "date"}
            }
            return Answer(answer.status, answer.read(), kept)


@contextmanager
def faults_before(target: str) -> Iterator[Faults]:
    """Stand before the AWS at `target` until the block ends; everything passes unless scripted."""
    found = Faults(target)
    with serving(found.take) as server:
        found.url = server.url
        yield found


def lost(forward: Forward) -> Answer:
    """Carry out the call, and lose the answer."""
    forward()
    return NO_ANSWER


def unsent(_: Forward) -> Answer:
    """Lose the call itself."""
    return NO_ANSWER


def refused(status: int, code: str, message: str = "as scripted") -> Fault:
    """Return a refusal, as Lambda's API writes one."""
    body = json.dumps({"Type": "User", "message": message}).encode()
    headers = {"x-amzn-ErrorType": code, "Content-Type": "application/json"}
    return lambda _: Answer(status, body, headers)


THROTTLED = refused(429, "TooManyRequestsException", "Rate exceeded")
FAILED = refused(500, "ServiceException", "An error occurred and the request cannot be processed.")
STALE = refused(
    412,
    "PreconditionFailedException",
    "The Revision Id provided does not match the latest Revision Id. Call the "
    "GetFunction/GetAlias API to retrieve the latest Revision Id",
)


def _refusal(asked: Asked, status: int, code: str, message: str) -> Answer:
    """Protocols: rest-json (Lambda), json, cbor, query, ec2, and S3's XML."""
    if asked.headers.get("smithy-protocol") == "rpc-v2-cbor":
        # A map of two texts: RFC 8949, major types 5 and 3, lengths up to 255.
        texts = [b"__type", code.encode(), b"message", message.encode()]
        body = b"\xa2" + b"".join(b"\x78" + bytes([len(text)]) + text for text in texts)
        headers = {"smithy-protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"}
        return Answer(status, body, headers)
    if asked.headers.get("x-amz-target"):
        document = json.dumps({"__type": code, "message": message}).encode()
        return Answer(status, document, {"Content-Type": "application/x-amz-json-1.1"})
    if operation_of(asked)[0].isupper() and re.match(r"/20\d\d-", asked.path):
        return refused(status, code, message)(lambda: NO_ANSWER)
    error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    if b"Action=" in asked.body:
        ec2 = b"Version=2016-11-15" in asked.body
        error = (
            f"<Response><Errors>{error}</Errors></Response>"
            if ec2
            else f"<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>"
        )
    return Answer(status, error.encode(), {"Content-Type": "text/xml"})


def slow(seconds: float) -> Fault:
    """Return a call that takes its time before it is carried out."""

    def wait(forward: Forward) -> Answer:
        time.sleep(seconds)
        return forward()

    return wait


def meanwhile(happens: Callable[[], object], then: Fault = lambda forward: forward()) -> Fault:
    """Return a call before which something else happens; `then` is what becomes of it."""

    def call(forward: Forward) -> Answer:
        happens()
        return then(forward)

    return call


def writes(operation: str) -> bool:
    """Tell whether a call may change anything."""
    return not operation.startswith(_READS)


def operation_of(asked: Asked) -> str:
    """Return the operation of a request, whatever protocol its service speaks."""
    path = urlsplit(asked.path).path
    if target := asked.headers.get("x-amz-target"):
        return target.rpartition(".")[2]
    for method, pattern, name in _lambda_operations():
        if method == asked.method and pattern.fullmatch(path):
            return name
    form = parse_qs(asked.body.decode("latin-1"))
    return form["Action"][0] if "Action" in form else f"{asked.method} {path}"


@cache
def _lambda_operations() -> list[tuple[str, re.Pattern[str], str]]:
    model = botocore.session.Session().get_service_model("lambda")
    found = []
    for name in model.operation_names:
        address = model.operation_model(name).http
        uri = address["requestUri"].split("?")[0]
        pattern = re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(uri))
        found.append((address["method"], re.compile(pattern), name))
    return found


def _last_update(status: str, reason: str) -> dict[str, str]:
    said = f"The last update ended with {reason}."
    words = {"": status, "Reason": said, "ReasonCode": reason}
    return {f"LastUpdateStatus{key}": value for key, value in words.items()}
