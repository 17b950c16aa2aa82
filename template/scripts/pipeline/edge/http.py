"""The one place that speaks HTTP: to Octopus and to package feeds, never twice by accident.

What may be repeated safely is: a reading request, one that never left this machine, and one that
the server turned away (429). Any other request that gets no answer ends in `NoAnswerError`, and
the caller has to look what became of it.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import urllib3
from urllib3 import exceptions as faults

from ..errors import PipelineError
from .http_words import body_words, hint
from .network import Network, no_address, split_user
from .upload import Upload

__all__ = ["Http", "HttpError", "NoAnswerError", "Request", "Response", "shown"]

_READING = ("GET", "HEAD")
_SECRET_HEADERS = ("authorization", "cookie", "x-nuget-apikey", "x-octopus-apikey")
_PASSING = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
_PAUSES = (1.0, 2.0, 4.0)  # seconds before the second, third and fourth attempt
_LONGEST_PAUSE = 300.0
_CONNECT_SECONDS = 15.0
_BLOCK = 1 << 16
_NEVER_LEFT = (faults.NewConnectionError, faults.ConnectTimeoutError, faults.ProxyError)
_MASK = "********"


@dataclass(frozen=True)
class Request:
    """A request. `json` is sent as a JSON document, an `Upload` as it is read from its file.

    `expect` names the statuses besides 2xx that are answers to the caller and not errors;
    `seconds` bounds each wait for the server, not the whole request. A user and password in
    the URL are sent as basic authentication, and are never shown.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    body: bytes | Upload | None = None
    expect: tuple[int, ...] = ()
    seconds: float = 60.0

    @property
    def where(self) -> str:
        """The request as errors name it."""
        return f"{self.method} {shown(self.url)}"


@dataclass(frozen=True)
class Response:
    """An answer: `headers` by lower-case name, `where` the request it belongs to."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    where: str

    def json(self) -> Any:
        """Return the JSON document; None for an empty body. Raises PipelineError for others."""
        try:
            return json.loads(self.body) if self.body.strip() else None
        except ValueError as error:
            raise PipelineError(
                self.where,
                f"the answer is not JSON: {body_words(self.body)}",
                "Look at the URL, and at what stands between this machine and the server.",
            ) from error


class HttpError(PipelineError):
    """An answer that is an error: `status`, and `text`, what the server said in its words."""

    def __init__(self, where: str, what: str, then: str = "", *, status: int = 0) -> None:
        super().__init__(where, what, then)
        self.status = status
        self.text = what.partition(": ")[2]


class NoAnswerError(PipelineError):
    """The connection ended before an answer: whether the request had its effect is unknown."""


class Http:
    """Connections that honour the proxy and CA settings of `environ`.

    `tell` gets a line when a request has to wait before it is repeated.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        sleep: Callable[[float], None] = time.sleep,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._network = Network(environ)
        self._sleep = sleep
        self._tell = tell

    def request(self, request: Request) -> Response:
        """Send a request and return its answer; what may be repeated safely is repeated.

        Raises HttpError for a status that is neither 2xx nor expected, NoAnswerError when the
        effect is unknown, PipelineError when the server cannot be reached.
        """
        kept: list[bytes] = []
        response = self.download(request, kept.append)
        return Response(response.status, response.headers, b"".join(kept), response.where)

    def download(self, request: Request, take: Callable[[bytes], object]) -> Response:
        """Send a request and pass the body of its answer to `take`, block by block.

        A body that breaks off is not asked for again: the caller has taken a part of it.
        """
        for pause in (*_PAUSES, None):
            try:
                raw = self._send(request)
            except faults.HTTPError as error:
                failure, repeatable = _failure(request, error)
                if pause is None or not repeatable:
                    raise failure from error
                self._wait(request, failure.what, pause)
                continue
            wait = _turned_away(request, raw, pause)
            if wait is None:
                return self._answer(request, raw, take)
            raw.drain_conn()
            self._wait(request, f"status {raw.status}", wait)
        raise AssertionError  # the last round returns or raises

    def _send(self, request: Request) -> urllib3.BaseHTTPResponse:
        headers = {"User-Agent": "copier-lambda", "Accept": "*/*", **request.headers}
        body: Any = request.body
        if request.json is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(request.json).encode()
        elif isinstance(body, Upload):
            headers |= body.headers()
            body = body.blocks()
        url, user = split_user(request.url)
        if user:
            headers |= urllib3.make_headers(basic_auth=user)
        try:
            return self._network.pool(url).urlopen(
                request.method,
                url,
                body=body,
                headers=headers,
                retries=_redirects(request.method),
                redirect=request.method in _READING,
                timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=request.seconds),
                preload_content=False,
            )
        finally:
            if isinstance(request.body, Upload):
                body.close()

    def _answer(
        self, request: Request, raw: urllib3.BaseHTTPResponse, take: Callable[[bytes], object]
    ) -> Response:
        good = raw.status // 100 == 2 or raw.status in request.expect  # noqa: PLR2004 - 2xx
        error_body: list[bytes] = []
        try:
            for block in raw.stream(_BLOCK):
                (take if good else error_body.append)(block)
        except faults.HTTPError as error:
            what = f"the answer broke off: {error}"
            if good or not error_body:
                raise NoAnswerError(request.where, what, "Try again.") from error
        finally:
            raw.release_conn()
        headers = {name.lower(): value for name, value in raw.headers.items()}
        if not good:
            raise _refusal(request, raw, b"".join(error_body), headers.get("location", ""))
        return Response(raw.status, headers, b"", request.where)

    def _wait(self, request: Request, what: str, seconds: float) -> None:
        self._tell(f"{request.where}: {what}; trying again in {seconds:.0f} s")
        self._sleep(seconds)


def shown(url: str) -> str:
    """Return a URL without the user and password in it."""
    return split_user(url)[0]


def _redirects(method: str) -> urllib3.Retry | bool:
    if method not in _READING:
        return False
    return urllib3.Retry(
        total=None, connect=0, read=0, status=0, other=0, redirect=5,
        remove_headers_on_redirect=_SECRET_HEADERS,
    )  # fmt: skip


def _turned_away(
    request: Request, raw: urllib3.BaseHTTPResponse, pause: float | None
) -> float | None:
    """Return the seconds to wait before the request is repeated, or None where it is not."""
    passing = raw.status in _PASSING and request.method in _READING
    asked_for = raw.status in request.expect
    if pause is None or asked_for or not (raw.status == HTTPStatus.TOO_MANY_REQUESTS or passing):
        return None
    after = raw.headers.get("Retry-After")
    try:
        wait = urllib3.Retry().parse_retry_after(after) if after else pause
    except faults.InvalidHeader:
        wait = pause
    return wait if wait <= _LONGEST_PAUSE else None


def _failure(request: Request, error: faults.HTTPError) -> tuple[PipelineError, bool]:
    """Return the error for an attempt that failed, and whether the request may be repeated."""
    reason = error.reason if isinstance(error, faults.MaxRetryError) else error
    text = str(reason or error)
    if isinstance(reason, faults.LocationValueError):
        return no_address(shown(request.url)), False
    if isinstance(reason, faults.SSLError) and _is_about_trust(reason):
        untrusted = PipelineError(
            request.where,
            f"the server's certificate is not trusted: {text}",
            "Name your organisation's CA file in REQUESTS_CA_BUNDLE or SSL_CERT_FILE.",
        )
        return untrusted, False
    if isinstance(reason, _NEVER_LEFT):
        unreachable = PipelineError(
            request.where,
            f"the server cannot be reached: {text}",
            "Look at the URL, the network, and HTTPS_PROXY, HTTP_PROXY and NO_PROXY.",
        )
        return unreachable, True
    unanswered = NoAnswerError(
        request.where, f"no answer: {text}", "Look at the server, then repeat."
    )
    return unanswered, request.method in _READING


def _is_about_trust(reason: BaseException) -> bool:
    seen: BaseException | object = reason
    while isinstance(seen, BaseException):
        if isinstance(seen, ssl.SSLCertVerificationError):
            return True
        seen = seen.__cause__ or seen.__context__ or (seen.args[0] if seen.args else None)
    return False


def _refusal(
    request: Request, raw: urllib3.BaseHTTPResponse, body: bytes, location: str
) -> HttpError:
    said = body_words(body)
    for name, value in request.headers.items():
        if name.lower() in _SECRET_HEADERS and value:
            said = said.replace(value, _MASK)
    phrase = f"status {raw.status} {raw.reason or ''}".rstrip()
    what = f"{phrase}: {said}" if said else phrase
    return HttpError(request.where, what, hint(raw.status, shown(location)), status=raw.status)
