"""`logs`: what a function wrote, as far back as is asked for, and what comes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ..core.errors import PipelineError, UsageError
from ..core.events import Reporter
from ..core.names import ALIAS
from ..deploy.aws_errors import Missing, Throttled, Unanswered, explained_errors
from ..deploy.observe import published_versions, read_alias
from ..deploy.releases import named_releases, releases
from ..report.function_log import Entry, LogLine, LogReader
from .which_function import Place

_PERIOD = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_BY_DEFAULT = timedelta(hours=1)
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
    try:
        yield from _read(place, options, now, reporter, pause)
    except Unanswered as error:
        if not place.environment.is_local:
            raise
        then = "Run `python3 tasks.py deploy local`."
        raise PipelineError("local", "the embedded AWS has stopped", then) from error


def _read(
    place: Place,
    options: LogOptions,
    now: datetime,
    reporter: Reporter,
    pause: Callable[[float], None],
) -> Iterator[list[Entry]]:
    name, functions = place.function, place.connection.functions
    start = _moment(options.since, now, is_local=place.environment.is_local)
    with reporter.stage("logs") as stage:
        versions = _versions(functions, name, options.version)
        group = _group(functions, name)
        looking = _Looking(place.connection.clients("logs"), group, name, versions)
        since = int(start.timestamp() * 1000)
        stage.text = f"{group}, {f'since {start:%Y-%m-%d %H:%M} UTC' if since else 'all of it'}"
    interval = shortest = _BETWEEN_LOCAL_LOOKS if place.environment.is_local else _BETWEEN_LOOKS
    while True:
        try:
            for found in looking.look(since):
                if found:
                    yield found
            interval = shortest
        except Throttled:
            if not options.follow:
                raise
            interval = min(2 * interval, _LONGEST)
        if not options.follow:
            return
        pause(interval)
        since = max(since, looking.newest - _LATE_MS)


class _Looking:
    """A log group that is looked at again and again: each line is given once."""

    def __init__(self, client: Any, group: str, function: str, versions: set[str]) -> None:
        self._client = client
        self._group = group
        self._function = function
        self._versions = versions
        self._reader = LogReader()
        self._seen: dict[str, int] = {}
        self.newest = 0

    def look(self, since: int) -> Iterator[list[Entry]]:
        """Yield the pages since that moment; AWS may send empty ones before the last."""
        self._seen = {key: moment for key, moment in self._seen.items() if moment >= since}
        token: dict[str, str] = {}
        while True:
            try:
                with explained_errors(self._group, "logs:FilterLogEvents"):
                    answer = self._client.filter_log_events(
                        logGroupName=self._group, startTime=since, interleaved=True, **token
                    )
            except Missing:
                return
            yield self._new(answer.get("events", ()))
            following = {"nextToken": answer["nextToken"]} if answer.get("nextToken") else token
            if following == token:
                return
            token = following

    def _new(self, events: list[dict[str, Any]]) -> list[Entry]:
        new = [one for one in events if one["eventId"] not in self._seen]
        self._seen.update((one["eventId"], one["timestamp"]) for one in new)
        lines = [LogLine(one["timestamp"], one["logStreamName"], one["message"]) for one in new]
        self.newest = max([self.newest, *(line.timestamp for line in lines)])
        return [self._reader.entry(line) for line in lines if self._is_wanted(line)]

    def _is_wanted(self, line: LogLine) -> bool:
        if line.function not in ("", self._function):
            return False
        return not self._versions or line.version in self._versions


def _group(functions: Any, name: str) -> str:
    with explained_errors(name, "lambda:GetFunctionConfiguration"):
        settings = functions.get_function_configuration(FunctionName=name)
    return (settings.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{name}"


def _versions(functions: Any, name: str, wanted: str) -> set[str]:
    """Return the function's versions that are meant: by number, as `live`, or by their release."""
    if not wanted or wanted == "$LATEST" or wanted.isdecimal():
        return {wanted} - {""}
    if wanted == ALIAS:
        alias = read_alias(functions, name)
        return {alias.version, *alias.weights} if alias else {"$LATEST"}
    known = releases(published_versions(functions, name))
    return {one.function.version for one in named_releases(known, wanted, f"logs of {name}")}


def _moment(since: str, now: datetime, *, is_local: bool) -> datetime:
    """Return the moment that `since` means."""
    if not since:
        return datetime.fromtimestamp(0, UTC) if is_local else now - _BY_DEFAULT
    if period := _PERIOD.fullmatch(since):
        return now - timedelta(**{_UNITS[period[2]]: int(period[1])})
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        then = "Write a period like 15m, 2h or 1d, or a moment like 2026-11-26T09:05 (UTC)."
        raise UsageError("--since", f"{since!r} is no time", then) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment > now:
        raise UsageError("--since", f"{since} is yet to come", "Without an offset it is UTC.")
    return moment.astimezone(UTC)
