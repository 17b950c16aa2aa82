"""A host's REST API within its limits: one request at a time, writes a second apart, waits kept.

The rules are GitHub's ("Best practices for using the REST API" and "Rate limits for the REST API",
docs.github.com); GitLab's headers say the same without the `X-`.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import urllib3
from pipeline.core.errors import PipelineError
from pipeline.edge.http import Http, HttpError, Request, Response
from pipeline.edge.urls import origin
from urllib3.exceptions import InvalidHeader

_SECONDS_BETWEEN_WRITES = 1.0
_SECONDARY = 60.0  # seconds, doubled each time, where the host does not say how long
_LONGEST = 900.0  # seconds that a run waits for a limit; a longer one it leaves to the next run
_ATTEMPTS = 4
_TURNED_AWAY = (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)
_OURS = (400, 401, 403, 404, 409, 410, 422, 429)  # statuses whose meaning is said here
_NEXT = re.compile(r'<([^>]*)>;[^,]*\brel="?next\b')
_PERMISSIONS = "docs/fleet-update.md says which permissions its token needs."


@dataclass
class Api:
    """An API below `base`. `now` gives seconds since 1970, as the host's headers do.

    `headers` go to that host only. Several threads may share it.
    """

    base: str
    headers: dict[str, str]
    http: Http
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    tell: Callable[[str], None] = lambda _: None
    _one: threading.Lock = field(default_factory=threading.Lock)
    _closed_until: float = 0.0
    _next_write: float = 0.0

    def get(self, path: str, **query: Any) -> Any:
        """Return a document. Raises HttpError for a status that is no success."""
        return self._ask("GET", self._url(path, query)).json()

    def pages(self, path: str, inside: str = "", **query: Any) -> Iterator[Any]:
        """Yield the items of a list, page after page; `inside` is its key in the documents."""
        url = self._url(path, {**query, "per_page": 100})
        while url:
            answer = self._ask("GET", url)
            found = answer.json()
            yield from found[inside] if inside else found
            link = _NEXT.search(answer.headers.get("link", ""))
            url = link[1] if link else ""
            if url and origin(url) != origin(self.base):
                what = f"its next page is at {url}, on another host: the token does not go there"
                raise PipelineError(answer.where, what, "Look at `api` in fleet.toml.")

    def send(self, method: str, path: str, document: dict[str, Any]) -> Any:
        """Send a document; return the one that comes back."""
        return self._ask(method, self._url(path, {}), document).json()

    def _url(self, path: str, query: dict[str, Any]) -> str:
        return f"{self.base}/{path}{'?' if query else ''}{urlencode(query)}"

    def _ask(self, method: str, url: str, document: dict[str, Any] | None = None) -> Response:
        request = Request(method, url, self.headers, document, expect=_OURS)
        with self._one:
            for attempt in range(_ATTEMPTS):
                self._wait(request.where, writes=document is not None)
                answer = self.http.request(request)
                if document is not None:
                    self._next_write = self.now() + _SECONDS_BETWEEN_WRITES
                is_limited = self._limited(answer, attempt)
                if answer.status // 100 == 2:  # noqa: PLR2004 - the successes
                    return answer
                if not is_limited:
                    raise _refusal(answer)
            what = f"the host turned it away {_ATTEMPTS} times for its limits"
            raise PipelineError(request.where, what, "Run it again later: it goes on from there.")

    def _wait(self, where: str, *, writes: bool) -> None:
        """Wait as long as the host, and the pause between writes, want it."""
        closed = self._closed_until - self.now()
        if closed > _LONGEST:
            at = f"{datetime.fromtimestamp(self._closed_until, UTC):%H:%M} UTC"
            what = f"the host takes no more requests before {at}"
            raise PipelineError(where, what, "Run it again then: it goes on from there.")
        if closed > 0:
            self.tell(f"{where}: the host's limit; waiting for {closed:.0f} s")
        wait = max(closed, self._next_write - self.now() if writes else 0.0)
        if wait > 0:
            self.sleep(wait)

    def _limited(self, answer: Response, attempt: int) -> bool:
        """Note until when the host is closed; tell whether that is why it refused."""
        headers, refused = answer.headers, answer.status in _TURNED_AWAY
        remaining = headers.get("x-ratelimit-remaining", headers.get("ratelimit-remaining", ""))
        reset = headers.get("x-ratelimit-reset", headers.get("ratelimit-reset", ""))
        after = _seconds(headers.get("retry-after", ""))
        if refused and after is not None:
            self._closed_until = self.now() + after
        elif remaining == "0" and reset.isdigit():
            # One more: its clock and this one may differ by a part of a second.
            self._closed_until = int(reset) + 1
        elif answer.status == HTTPStatus.TOO_MANY_REQUESTS or (
            refused and b"secondary rate limit" in answer.body.lower()
        ):
            self._closed_until = self.now() + _SECONDARY * 2**attempt
        else:
            return False
        return refused


def _seconds(after: str) -> float | None:
    """Return what a Retry-After header asks for, which may be a date as well."""
    try:
        return urllib3.Retry().parse_retry_after(after) if after else None
    except InvalidHeader:
        return None


def _refusal(answer: Response) -> HttpError:
    """Return the error for a refusal, in the host's own words."""
    try:
        document = json.loads(answer.body)
        said = [document.get("message") or document.get("error") or "", document.get("errors", "")]
        words = " ".join(one if isinstance(one, str) else json.dumps(one) for one in said if one)
    except (ValueError, AttributeError):
        words = ""
    what = f"status {answer.status}{': ' if words else ''}{words[:500]}"
    then = _PERMISSIONS if answer.status in (401, 403, 404) else ""
    return HttpError(answer.where, what, then, status=answer.status)
