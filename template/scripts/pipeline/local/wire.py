"""HTTP between AWS clients and the embedded AWS: whose call it is, and errors in AWS's shapes."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

__all__ = [
    "App",
    "Environ",
    "Reply",
    "Scope",
    "Start",
    "call",
    "error_reply",
    "read_body",
    "scope",
    "send",
]

Environ = dict[str, Any]
Start = Callable[..., Any]
App = Callable[[Environ, Start], Iterable[bytes]]
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/]*)/([^/]*)/aws4_request")
_QUERY_SERVICES = ("cloudformation", "iam", "sts", "sns", "ec2", "autoscaling", "monitoring")
_REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    412: "Precondition Failed",
    413: "Request Entity Too Large",
}
_SHORT_TEXT = 24
_CBOR_TEXT = 0x60


@dataclass(frozen=True)
class Scope:
    """Whom a call says it is from (access key) and where it goes."""

    access_key: str = ""
    region: str = ""
    service: str = ""


@dataclass(frozen=True)
class Reply:
    """An HTTP answer held in memory."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def scope(environ: Mapping[str, Any]) -> Scope:
    """Read the credential scope of a signed request or a presigned address; empty without one."""
    found = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    if not found and "X-Amz-Credential" in environ.get("QUERY_STRING", ""):
        value = parse_qs(environ["QUERY_STRING"]).get("X-Amz-Credential", [""])[0]
        found = _CREDENTIAL.match(f"Credential={value}")
    return Scope(found[1], found[2], found[3]) if found else Scope()


def read_body(environ: Environ) -> bytes:
    """Read the request's body and put it back for whoever comes next."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body: bytes = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def call(app: App, environ: Environ, body: bytes) -> Reply:
    """Let `app` answer the request with this body."""
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    begun: list[tuple[int, list[tuple[str, str]]]] = []

    def start(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:  # noqa: ARG001
        begun.append((int(status[:3]), headers))

    pieces = app(environ, start)
    answer = b"".join(pieces)
    status, headers = begun[-1]
    return Reply(status, tuple(headers), answer)


def send(reply: Reply, start_response: Start) -> list[bytes]:
    """Answer with a reply whose length may have changed."""
    headers = [(name, value) for name, value in reply.headers if name.lower() != "content-length"]
    headers.append(("Content-Length", str(len(reply.body))))
    start_response(f"{reply.status} {_REASONS.get(reply.status, 'Unknown')}", headers)
    return [reply.body]


def error_reply(environ: Mapping[str, Any], status: int, code: str, message: str) -> Reply:
    """Return an error in the protocol that the caller's service speaks."""
    service = scope(environ).service
    if environ.get("HTTP_SMITHY_PROTOCOL") == "rpc-v2-cbor":
        body = b"\xa2" + b"".join(_cbor(text) for text in ("__type", code, "message", message))
        headers = [("Content-Type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")]
    elif service == "s3" or service in _QUERY_SERVICES or not service:
        inner = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
        error = f"<Error>{inner}</Error>"
        text = f"<ErrorResponse>{error}</ErrorResponse>" if service in _QUERY_SERVICES else error
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()
        headers = [("Content-Type", "application/xml")]
    else:
        body = json.dumps({"__type": code, "Type": "User", "message": message}).encode()
        headers = [("Content-Type", "application/json"), ("x-amzn-errortype", code)]
    return Reply(status, tuple(headers), body)


def _cbor(text: str) -> bytes:
    """Encode a text as CBOR (RFC 8949, major type 3)."""
    data = text.encode()
    if len(data) < _SHORT_TEXT:
        return bytes([_CBOR_TEXT | len(data)]) + data
    return bytes([_CBOR_TEXT | 25]) + len(data).to_bytes(2, "big") + data
