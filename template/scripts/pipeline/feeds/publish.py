"""Publishing a package once: the same one again is a success, another one is refused.

The feed is read before anything is sent, because not every feed refuses a version that it has,
and again after a broken connection, because the package may have arrived.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from ..core.errors import Conflict, PipelineError
from ..core.events import Stage
from ..edge.http import HttpError, NoAnswerError
from ..package.contents import Package
from .feed import Feed, Found, State

# Errors of a gateway: the feed behind it may have got the package or not.
_DROPPED = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)
_ATTEMPTS = 3
_PAUSE = 2.0  # seconds, for a server that is still busy with what it got


@dataclass(frozen=True)
class Published:
    """A package that is in the feed now; `sent` says whether this push sent it.

    `warning` is empty, or what went wrong on the way.
    """

    sent: bool
    text: str
    warning: str = ""


def publish(
    feed: Feed,
    package: Package,
    stage: Stage,
    *,
    skip_duplicate: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> Published:
    """Bring a package to a feed, once.

    With `skip_duplicate` a version that is there and cannot be compared is accepted. Raises
    Conflict where the version is there and is another package, or cannot be compared;
    PipelineError where the feed refuses it, or where nobody can tell whether it arrived.
    """
    if _is_there(feed, package, feed.find(package)):
        return Published(sent=False, text=f"{feed.name} has it already, the same package")
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            taken = feed.send(package, partial(stage.progress, f"sending to {feed.name}"))
        except (NoAnswerError, HttpError) as error:
            if isinstance(error, HttpError) and _is_final(error):
                raise
            if _is_resent(error):
                sleep(_PAUSE)
            if _has_arrived(feed, package, error):
                warning = f"the push failed ({error.what}), but the package is there"
                return Published(sent=True, text=f"to {feed.name}", warning=warning)
            if attempt == _ATTEMPTS or not _is_resent(error):
                raise
            stage.progress("the connection broke and the package is not there: sending it again")
        else:
            if taken:
                return Published(sent=True, text=f"to {feed.name}")
            return _rejected(feed, package, skip_duplicate=skip_duplicate)
    raise AssertionError  # the last attempt returns or raises


def _is_there(feed: Feed, package: Package, found: Found) -> bool:
    """Tell whether the feed has the package; raises Conflict where it has another one."""
    if found.state is State.OTHER:
        raise Conflict(
            _where(package),
            f"{feed.name} has another package under this version: {found.why}",
            "Build again under a new version. Nothing was replaced.",
        )
    return found.state is State.SAME


def _rejected(feed: Feed, package: Package, *, skip_duplicate: bool) -> Published:
    """Decide about a version that the feed says it has."""
    found = feed.find(package)
    if _is_there(feed, package, found):
        return Published(sent=False, text=f"{feed.name} has it already, the same package")
    why = found.why or "the feed does not show it"
    if skip_duplicate:
        text = f"{feed.name} has this version already, accepted by --skip-duplicate"
        return Published(sent=False, text=text, warning=f"{text}; it could not be compared: {why}")
    raise Conflict(
        _where(package),
        f"{feed.name} has this version already, and it could not be compared: {why}",
        "Build again under a new version, or accept what is there with --skip-duplicate.",
    )


def _has_arrived(feed: Feed, package: Package, error: NoAnswerError | HttpError) -> bool:
    """Look whether the package is there although the push failed."""
    try:
        found = feed.find(package)
    except PipelineError as second:
        raise _lost(feed, package, error, str(second.what)) from error
    if found.state is State.UNKNOWN and _is_resent(error):
        raise _lost(feed, package, error, found.why) from error
    return _is_there(feed, package, found)


def _lost(feed: Feed, package: Package, error: PipelineError, why: str) -> PipelineError:
    return PipelineError(
        _where(package),
        f"{error.what}; whether {feed.name} has the package now cannot be seen: {why}",
        "Look into the feed. Push again with --skip-duplicate if it is there.",
    )


def _is_final(error: HttpError) -> bool:
    """Tell whether the server turned the push away before it looked at the package."""
    final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
    return error.status in final or error.status // 100 == 3  # noqa: PLR2004 - a redirect


def _is_resent(error: NoAnswerError | HttpError) -> bool:
    return isinstance(error, NoAnswerError) or error.status in _DROPPED


def _where(package: Package) -> str:
    return f"push {package.id} {package.version}"
