"""`logs`: what a function wrote, as far back as is asked for, and what comes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ..core.errors import PipelineError, UsageError
from ..core.events import Reporter
from ..core.names import ALIAS, LATEST
from ..deploy.aws_errors import Missing, Throttled, Unanswered, explained_errors
from ..deploy.observe import published_versions, read_alias
from ..deploy.releases import named_releases, releases
from ..report.function_log import Entry, LogLine, LogReader
from .which_function import Place

_PERIOD = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_BY_DEFAULT = timedelta(hours=1)
_FIRST = datetime(2014, 11, 13, tzinfo=UTC)
# AWS allows five of these calls a second in an account; here nobody else calls.
_BETWEEN_LOOKS, _BETWEEN_LOCAL_LOOKS, _LONGEST = 2.0, 0.3, 30.0
# A line may arrive after younger ones of another stream.
_LATE_MS = 60_000


@dataclass(frozen=True)
class LogOptions:
    """What to show: from `since` on, of one version or release, and whether to wait for more.

    `since` is a period like 15m, 2h or 1d, or a moment in ISO 8601, in UTC where it has no offset;
    empty means the last hour, and all that the embedded AWS has.
    """

    since: str = ""
    version: str = ""
    follow: bool = False


def function_log(
    place: Place,
    options: LogOptions,
    now: datetime,
    reporter: Reporter,
    pause: Callable[[float], None],
) -> Iterator[list[Entry]]:
    """Yield what is in the log, piece by piece; with `follow` without an end what comes since.

    `pause` sleeps for some seconds. Raises UsageError for a time that is none, PipelineError where
    function or log cannot be read. A log group that is not there yet is an empty log.
    """
    name, functions = place.function, place.connection.functions
    is_local = place.environment.is_local
    since = _moment(options.since, now, is_local=is_local)
    with reporter.stage("logs") as stage:
        versions = _versions(functions, name, options.version)
        group = _group(functions, name)
        client = place.connection.clients("logs")
        when = datetime.fromtimestamp(since / 1000, UTC)
        stage.text = f"{group}, {f'since {when:%Y-%m-%d %H:%M} UTC' if since else 'all of it'}"
    interval = shortest = _BETWEEN_LOCAL_LOOKS if is_local else _BETWEEN_LOOKS
    reader, seen, newest = LogReader(), dict[str, int](), 0
    while True:
        try:
            for page in _pages(client, group, since, is_local=is_local):
                new = [one for one in page if one["eventId"] not in seen]
                seen.update((one["eventId"], one["timestamp"]) for one in new)
                newest = max([newest, *(one["timestamp"] for one in new)])
                yield [
                    reader.entry(line)
                    for line in map(_line, new)
                    if line.function in ("", name) and (not versions or line.version in versions)
                ]
            interval = shortest
        except Throttled:
            if not options.follow:
                raise
            interval = min(2 * interval, _LONGEST)
        if not options.follow:
            return
        pause(interval)
        since = max(since, newest - _LATE_MS)
        seen = {key: moment for key, moment in seen.items() if moment >= since}


def _line(event: Mapping[str, Any]) -> LogLine:
    return LogLine(event["timestamp"], event["logStreamName"], event["message"])


def _pages(
    client: Any, group: str, since: int, *, is_local: bool
) -> Iterator[Iterable[dict[str, Any]]]:
    """Yield the pages since a moment."""
    pages = client.get_paginator("filter_log_events")
    try:
        with explained_errors(group, "logs:FilterLogEvents"):
            for page in pages.paginate(logGroupName=group, startTime=since, interleaved=True):
                yield page.get("events", ())
    except Missing:
        return
    except Unanswered as error:
        if not is_local:
            raise
        then = "Run `python3 tasks.py deploy local`."
        raise PipelineError("local", "the embedded AWS has stopped", then) from error


def _group(functions: Any, name: str) -> str:
    with explained_errors(name, "lambda:GetFunctionConfiguration"):
        settings = functions.get_function_configuration(FunctionName=name)
    return (settings.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{name}"


def _versions(functions: Any, name: str, wanted: str) -> set[str]:
    """Return the function's versions that are meant: by number, as `live`, or by their release."""
    if not wanted or wanted == LATEST or wanted.isdecimal():
        return {wanted} - {""}
    if wanted == ALIAS:
        alias = read_alias(functions, name)
        return {alias.version, *alias.weights} if alias else {LATEST}
    known = releases(published_versions(functions, name))
    return {one.function.version for one in named_releases(known, wanted, f"logs of {name}")}


def _moment(since: str, now: datetime, *, is_local: bool) -> int:
    """Return the moment that `since` means, in milliseconds since 1970."""
    moment = now - _BY_DEFAULT
    if not since and is_local:
        return 0
    if period := _PERIOD.fullmatch(since):
        # Nothing is older than Lambda itself.
        length = timedelta(**{_UNITS[period[2]]: int(period[1])})
        moment = now - min(length, now - _FIRST)
    elif since:
        try:
            moment = datetime.fromisoformat(since)
        except ValueError:
            then = "Write a period like 15m, 2h or 1d, or a moment like 2026-11-26T09:05 (UTC)."
            raise UsageError("--since", f"{since!r} is no time", then) from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment > now:
        raise UsageError("--since", f"{since} is yet to come", "Without an offset it is UTC.")
    return max(0, int(moment.timestamp() * 1000))
