"""HTTP to Octopus and to package feeds; only what is safe to repeat is repeated.

Safe are: a reading request, one that never left this machine, and one that the server turned away
(429). Any other request without an answer ends in `NoAnswerError`: the caller has to look whether
it had its effect. Answers are bounded in size, time, redirects and nesting.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

import urllib3
from urllib3 import exceptions as faults

from ..core.errors import PipelineError
from ..core.strict_json import parse_json
from ..core.text import quoted
from .connections import Connections, EndlessError
from .http_text import body_words, hint
from .upload import Upload
from .urls import joined, origin, split_user, without_user

_READING = ("GET", "HEAD")
_SECRET_HEADERS = ("authorization", "cookie", "x-nuget-apikey", "x-octopus-apikey")
_PASSING = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
_PAUSES = (1.0, 2.0, 4.0)  # seconds before the second, third and fourth attempt
_LONGEST_PAUSE = 300.0
_CONNECT_SECONDS = 15.0
_BLOCK = 1 << 16
_MOST_IN_MEMORY = 32 << 20  # bytes of a body; a long deployment's whole log has a few million
_MOST_OF_AN_ERROR = 1 << 18
_MOST_REDIRECTS = 5
_LOOK_BETWEEN = "Look at the URL, and at what stands between this machine and the server."
_NEVER_LEFT = (faults.NewConnectionError, faults.ConnectTimeoutError, faults.ProxyError)


@dataclass(frozen=True)
class Request:
    """A request. `json` is sent as a JSON document, an `Upload` as it is read from its file.

    `expect` lists the statuses besides 2xx that are no errors to the caller. A user
    and password in the URL are sent as basic authentication, and are never shown.

    `seconds` bounds each wait for the server and `answer_seconds` the whole answer, `most` the
    bytes of its body, unpacked. What is sent has no such bound: a large package takes its time.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    body: bytes | Upload | None = None
    expect: tuple[int, ...] = ()
    seconds: float = 60.0
    answer_seconds: float = 600.0
    most: int = _MOST_IN_MEMORY

    @property
    def where(self) -> str:
        """The request as errors name it."""
        return f"{self.method} {without_user(self.url)}"


@dataclass(frozen=True)
class Response:
    """An answer: `headers` by lower-case name, `where` the request it belongs to.

    `url` is the address that answered, after redirects, without a user.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    where: str
    url: str = ""

    def json(self) -> Any:
        """Return the JSON document; None for an empty body. Raises PipelineError for others."""
        if not self.body.strip():
            return None
        try:
            return parse_json(self.body, self.where, largest=_MOST_IN_MEMORY, is_answer=True)
        except PipelineError as error:
            what = f"{error.what}\nThe answer begins with {quoted(body_words(self.body))}"
            raise PipelineError(self.where, what, _LOOK_BETWEEN) from error


class HttpError(PipelineError):
    """An answer that is an error, with its `status`; `text` is the server's own words."""

    def __init__(self, where: str, what: str, then: str = "", *, status: int = 0) -> None:
        super().__init__(where, what, then)
        self.status = status
        self.text = what.partition(": ")[2]


class NoAnswerError(PipelineError):
    """The connection ended before an answer: whether the request had its effect is unknown."""


class Http:
    """Connections that honour the proxy and CA settings of `environ`.

    `tell` gets a line when a request has to wait before it is repeated; `clock` is monotonic.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        sleep: Callable[[float], None] = time.sleep,
        tell: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connections = Connections(environ, clock)
        self._sleep = sleep
        self._tell = tell

    def request(self, request: Request) -> Response:
        """Send a request and return its answer; what may be repeated safely is repeated.

        Raises HttpError for a status that is neither 2xx nor expected, NoAnswerError when the
        effect is unknown, PipelineError when the server cannot be reached or does not end.
        """
        kept: list[bytes] = []
        response = self.download(request, kept.append)
        return replace(response, body=b"".join(kept))

    def download(self, request: Request, take: Callable[[bytes], object]) -> Response:
        """Send a request and pass the body of its answer to `take`, block by block.

        A body that breaks off is not asked for again: the caller has a part of it already.
        """
        _refuse_unsendable(request)
        for pause in (*_PAUSES, None):
            try:
                raw, url = self._send(request)
            except EndlessError as error:
                raise _over_bounds(request, error) from error
            except faults.HTTPError as error:
                failure, repeatable = _failure(request, error)
                if pause is None or not repeatable:
                    raise failure from error
                wait, why = pause, failure.what
            else:
                away = _turned_away(request, raw, pause)
                if away is None:
                    return self._answer(request, raw, url, take)
                raw.close()
                wait, why = away, f"status {raw.status}"
            self._tell(f"{request.where}: {why}; trying again in {wait:.0f} s")
            self._sleep(wait)
        raise AssertionError  # the last round returns or raises

    def _send(self, request: Request) -> tuple[urllib3.BaseHTTPResponse, str]:
        """Send a request, follow the redirects of a reading one, and say who answered.

        Keys go only to the host, port and scheme that they were given for.
        """
        url, user = split_user(request.url)
        headers = {"User-Agent": "copier-lambda", "Accept": "*/*", **request.headers}
        if user:
            headers |= urllib3.make_headers(basic_auth=user)
        for _ in range(_MOST_REDIRECTS + 1):
            raw = self._open(request, url, headers)
            location = raw.get_redirect_location()
            if not location or request.method not in _READING or raw.status in request.expect:
                return raw, url
            raw.close()
            target = _redirected(request, url, location)
            if origin(target) != origin(url):
                names = [name for name in headers if name.lower() not in _SECRET_HEADERS]
                headers = {name: headers[name] for name in names}
            url = target
        raise PipelineError(
            request.where,
            f"it is redirected more than {_MOST_REDIRECTS} times, at last to {url}",
            "Look at the server's settings of its own address.",
        )

    def _open(
        self, request: Request, url: str, headers: Mapping[str, str]
    ) -> urllib3.BaseHTTPResponse:
        body: Any = request.body
        if request.json is not None:
            headers = {**headers, "Content-Type": "application/json"}
            body = json.dumps(request.json).encode()
        elif isinstance(body, Upload):
            headers = {**headers, **body.headers()}
            body = body.blocks()
        try:
            return self._connections.pool(url, request.answer_seconds).urlopen(
                request.method,
                url,
                body=body,
                headers=headers,
                retries=False,
                redirect=False,
                timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=request.seconds),
                preload_content=False,
            )
        finally:
            if isinstance(request.body, Upload):
                body.close()

    def _answer(
        self,
        request: Request,
        raw: urllib3.BaseHTTPResponse,
        url: str,
        take: Callable[[bytes], object],
    ) -> Response:
        headers = {name.lower(): value for name, value in raw.headers.items()}
        if raw.status // 100 != 2 and raw.status not in request.expect:  # noqa: PLR2004 - 2xx
            raise _refusal(request, raw, _error_body(request, raw), headers.get("location", ""))
        try:
            for block in _blocks(raw, request.most):
                take(block)
            raw.release_conn()
        except EndlessError as error:
            raise _over_bounds(request, error) from error
        except faults.HTTPError as error:
            what = f"the answer broke off: {_words(error)}"
            raise NoAnswerError(request.where, what, "Try again.") from error
        finally:
            raw.close()  # what was given back stays open
        return Response(raw.status, headers, b"", request.where, url)


def _refuse_unsendable(request: Request) -> None:
    """Raise PipelineError for a value no header can hold, such as a key with a line end."""
    for name, value in request.headers.items():
        if not (value.isascii() and value.isprintable()):
            raise PipelineError(
                request.where,
                f"the header {name} cannot be sent: its value has a line end, a control character "
                "or one beyond ASCII",
                "Set that key again, without blanks and line ends around it.",
            )


def _redirected(request: Request, url: str, location: str) -> str:
    """Return a redirect's target without a user. Raises PipelineError for a forbidden one."""
    target = without_user(joined(url, location))
    if not target:
        problem = f"to {without_user(location)!r}, which is not the address of a server"
    elif url.lower().startswith("https:") and not target.lower().startswith("https:"):
        problem = f"from https to {target}, where everybody on the way could change the answer"
    else:
        return target
    raise PipelineError(
        request.where,
        f"it is redirected {problem}",
        "Look at the server's settings of its address.",
    )


def _over_bounds(request: Request, error: EndlessError) -> PipelineError:
    """Return the error for an answer over its bounds; what was sent may have had its effect."""
    kind = PipelineError if request.method in _READING else NoAnswerError
    return kind(request.where, str(error), _LOOK_BETWEEN)


def _blocks(raw: urllib3.BaseHTTPResponse, most: int) -> Iterator[bytes]:
    """Yield a body as it comes. Raises EndlessError after `most` bytes."""
    length = 0
    while block := raw.read1(_BLOCK):
        length += len(block)
        if length > most:
            what = f"the answer has more than {most >> 10} kB"
            raise EndlessError(what)
        yield block


def _error_body(request: Request, raw: urllib3.BaseHTTPResponse) -> bytes:
    """Return the body of an error as far as it came, 256 kB at most."""
    body = b""
    try:
        while len(body) < _MOST_OF_AN_ERROR and (block := raw.read1(_BLOCK)):
            body += block
    except (EndlessError, faults.HTTPError) as error:
        if not body:
            what = f"status {raw.status}, and the answer broke off: {_words(error)}"
            raise NoAnswerError(request.where, what, "Try again.") from error
    finally:
        raw.close()
    return body


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


def _words(error: BaseException) -> str:
    """Return what the system said, in the place of how the client wraps it."""
    cause = error.__cause__
    if isinstance(cause, OSError):
        return cause.strerror or str(cause)
    return str(error.args[-1] if error.args else error)


def _failure(request: Request, error: faults.HTTPError) -> tuple[PipelineError, bool]:
    """Return the error for an attempt that failed, and whether the request may be repeated."""
    text = _words(error)
    if isinstance(error, faults.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        untrusted = PipelineError(
            request.where,
            f"the server's certificate is not trusted: {text}",
            "Name your organisation's CA file in REQUESTS_CA_BUNDLE or SSL_CERT_FILE.",
        )
        return untrusted, False
    if isinstance(error, _NEVER_LEFT):
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


def _refusal(
    request: Request, raw: urllib3.BaseHTTPResponse, body: bytes, location: str
) -> HttpError:
    words = body_words(body, _secrets_of(request))
    phrase = f"status {raw.status} {raw.reason or ''}".rstrip()
    what = f"{phrase}: {words}" if words else phrase
    return HttpError(
        request.where, what, hint(raw.status, without_user(location)), status=raw.status
    )


def _secrets_of(request: Request) -> Iterator[str]:
    """Yield the secrets of a request, which a server may repeat in its answer."""
    user = split_user(request.url)[1]
    sent = dict(request.headers)
    if user:
        sent |= urllib3.make_headers(basic_auth=user)
        yield user
        yield user.partition(":")[2]
    for name, value in sent.items():
        if name.lower() in _SECRET_HEADERS:
            yield value
            yield value.partition(" ")[2]
