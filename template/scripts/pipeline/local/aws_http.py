"""HTTP between AWS clients and the embedded AWS: whose call it is, and errors in AWS's shapes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

Environ = dict[str, Any]
Start = Callable[..., Any]
App = Callable[[Environ, Start], Iterable[bytes]]
REQUEST_ID = "x-pipeline-request-id"
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d{8}/[^/]*/([^/]*)/aws4_request")


@dataclass(frozen=True)
class Scope:
    """Whom a call says it is from (access key) and where it goes."""

    access_key: str = ""
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
    if not found:
        query = parse_qs(environ.get("QUERY_STRING", ""))
        found = _CREDENTIAL.match("Credential=" + query.get("X-Amz-Credential", [""])[0])
        if not found and "Signature" in query:
            # boto3 presigns addresses of S3 in the older way.
            return Scope(query.get("AWSAccessKeyId", [""])[0], "s3")
    return Scope(found[1], found[2]) if found else Scope()


def send(reply: Reply, start_response: Start) -> list[bytes]:
    """Answer with a reply whose length may have changed."""
    headers = [(name, value) for name, value in reply.headers if name.lower() != "content-length"]
    headers.append(("Content-Length", str(len(reply.body))))
    start_response(f"{reply.status} {HTTPStatus(reply.status).phrase}", headers)
    return [reply.body]


def in_aws_words(app: App) -> App:
    """Turn what moto says in its own way into what an AWS client can read.

    That is a request id written over by a random one, the page of an unknown call (404), and
    an exception inside moto.
    """

    def translated(environ: Environ, start_response: Start) -> Iterable[bytes]:
        pages: list[int] = []

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            if status[:3] in {"404", "405"} and "text/html" in dict(headers).get(
                "Content-Type", ""
            ):
                pages.append(int(status[:3]))
                return None
            return start_response(status, _with_our_id(headers), *rest)

        try:
            answer = app(environ, start)
        except Exception as error:  # noqa: BLE001 - whatever fails inside moto
            # Not 500: clients would try again, and hide the cause behind what the rest of it did.
            message = f"The embedded AWS failed on this call: {error!r}"
            return send(error_reply(environ, 501, "InternalFailure", message), start_response)
        if not pages:
            return answer
        what = f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO', '')}"
        message = f"The embedded AWS does not know {scope(environ).service} {what}."
        return send(error_reply(environ, pages[0], "NotImplemented", message), start_response)

    return translated


def _with_our_id(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    ours = [value for name, value in headers if name.lower() == REQUEST_ID]
    if not ours:
        return headers
    kept = [pair for pair in headers if pair[0].lower() not in {REQUEST_ID, "x-amzn-requestid"}]
    return [*kept, ("x-amzn-RequestId", ours[0])]


def error_reply(environ: Mapping[str, Any], status: int, code: str, message: str) -> Reply:
    """Return an error in the protocol that the caller's service speaks."""
    service = scope(environ).service
    if service == "lambda" or "HTTP_X_AMZ_TARGET" in environ:
        body = json.dumps({"__type": code, "Type": "User", "message": message}).encode()
        headers = [("Content-Type", "application/json"), ("x-amzn-errortype", code)]
    else:
        inner = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
        text = f"<Error>{inner}</Error>"
        if service != "s3":
            text = f"<ErrorResponse>{text}</ErrorResponse>"
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()
        headers = [("Content-Type", "application/xml")]
    return Reply(status, tuple(headers), body)
