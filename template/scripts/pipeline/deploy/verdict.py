"""What the calls of a new version say: that it is healthy, that it failed, or nothing certain.

It counts calls, not minutes: metrics of `function:live` by the version that ran, and the alarms
that an environment names. A verdict is a plain function of such figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from ..core.errors import Conflict, Interrupted, PipelineError
from ..core.events import Stage
from ..core.names import ALIAS
from ..core.text import span
from .aws_errors import explained_errors
from .aws_session import Connection
from .observe import Alias, Observed, Wait
from .traffic import Canary, Thresholds, canary_in, metric_delay

_MINUTE, _LONGEST_PERIOD = 60, 86400
_MOST_DAYS = timedelta(days=14)  # minutes older than 15 days are gone
_LOOK_EVERY = 30.0  # seconds; a short canary is looked at ten times
_COUNTED = {"calls": "Invocations", "errors": "Errors", "throttles": "Throttles"}
_SUM, _P99 = "Sum", "p99"
_DROPPED = "dropped"


class Seen(Enum):
    """What a request for figures names that is put in at each look."""

    START = "when the canary began"
    END = "up to when all calls are counted"
    PERIOD = "the seconds between them"


class Outcome(Enum):
    """What can be said of a new version."""

    HEALTHY = "healthy"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Figures:
    """What CloudWatch knows of a version's calls: counts, and p99 of their durations in ms.

    Calls that were throttled are in `throttles` alone.
    """

    calls: int = 0
    errors: int = 0
    throttles: int = 0
    p99: float | None = None

    @property
    def asked(self) -> int:
        """How many calls were tried."""
        return self.calls + self.throttles

    def __str__(self) -> str:
        p99 = "" if self.p99 is None else f", p99 {self.p99:,.0f} ms"
        return f"{self.calls} calls, {self.errors} failed, {self.throttles} throttled{p99}"


@dataclass(frozen=True)
class Verdict:
    """A verdict with its reason, and the figures of the new version and of the one beside it."""

    outcome: Outcome
    why: str
    new: Figures = Figures()
    stable: Figures = Figures()


def judge(
    new: Figures, stable: Figures, limits: Thresholds, red: tuple[str, ...] = (), dropped: int = 0
) -> Verdict:
    """Judge a new version beside the one that serves.

    `red` are the alarms that have turned red since the start, `dropped` the events that the alias
    gave up. What is as bad in the version that serves does not speak against the new one: so a fix
    can be deployed where it is needed.
    """
    worse = _broken(new, stable, limits, dropped)
    if red:
        outcome, why = Outcome.FAILED, f"the alarm {', '.join(red)} turned red"
    elif new.asked < limits.calls:
        outcome = Outcome.INCONCLUSIVE
        why = f"{new.asked} calls were seen, and fewer than {limits.calls} decide nothing"
    elif worse:
        outcome, why = Outcome.FAILED, worse
    else:
        outcome, why = Outcome.HEALTHY, "no threshold is broken"
    return Verdict(outcome, why, new, stable)


def _broken(new: Figures, stable: Figures, limits: Thresholds, dropped: int) -> str:
    rates = (
        ("failed", limits.errors, _rate(new.errors, new.calls), _rate(stable.errors, stable.calls)),
        (
            "were throttled",
            limits.throttles,
            _rate(new.throttles, new.asked),
            _rate(stable.throttles, stable.asked),
        ),
    )
    for what, limit, rate, beside in rates:
        if rate > limit and rate > beside:
            return f"{rate:.1%} of its calls {what}, more than {limit:.2%}"
    if limits.p99 is not None and (new.p99 or 0.0) > max(limits.p99, stable.p99 or 0.0):
        return f"p99 is {new.p99:,.0f} ms, more than {limits.p99:,.0f} ms"
    if limits.dead_letters is not None and dropped > limits.dead_letters:
        return f"{dropped} events were given up, more than {limits.dead_letters}"
    return ""


def _rate(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def metric_queries(function: str, new: object, stable: str) -> list[dict[str, Any]]:
    """Return what GetMetricData is asked for: of both versions behind the alias, and of all of it.

    `new` may be a name for the version that is not published yet.
    """
    resource: dict[str, Any] = {"Name": "Resource", "Value": f"{function}:{ALIAS}"}
    of_function = [{"Name": "FunctionName", "Value": function}, resource]
    queries = [_query(_DROPPED, "AsyncEventsDropped", _SUM, of_function)]
    for who, version in (("new", new), ("stable", stable)):
        dimensions = [*of_function, {"Name": "ExecutedVersion", "Value": version}]
        for figure, metric in _COUNTED.items():
            queries.append(_query(f"{who}_{figure}", metric, _SUM, dimensions))
        queries.append(_query(f"{who}_{_P99}", "Duration", _P99, dimensions))
    return queries


def _query(name: str, metric: str, statistic: str, dimensions: list[dict[str, Any]]) -> Any:
    named = {"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": dimensions}
    return {"Id": name, "MetricStat": {"Metric": named, "Period": Seen.PERIOD, "Stat": statistic}}


@dataclass(frozen=True)
class Window:
    """From when to when figures are asked for, from a whole minute on; at most a day at once."""

    start: datetime
    end: datetime

    @classmethod
    def of(cls, since: datetime, now: datetime, delay: float) -> Window | None:
        """Return what is seen by now of what began at `since`; None where that is nothing yet."""
        end = now - timedelta(seconds=delay)
        start = max(since, end - _MOST_DAYS).replace(second=0, microsecond=0)
        return cls(start, end) if end > since else None

    @property
    def values(self) -> Mapping[Enum, object]:
        """What stands for the parts of a request."""
        minutes = math.ceil((self.end - self.start).total_seconds() / _MINUTE)
        period = min(minutes * _MINUTE, _LONGEST_PERIOD)
        return {Seen.START: self.start, Seen.END: self.end, Seen.PERIOD: period}


@dataclass(frozen=True)
class Look:
    """What one look at a canary finds: figures, events given up, red alarms and since when."""

    new: Figures = Figures()
    stable: Figures = Figures()
    dropped: int = 0
    red: Mapping[str, datetime] = field(default_factory=dict)


def seen_in(answer: Mapping[str, Any]) -> Look:
    """Return the figures in an answer. Raises PipelineError where AWS calls it incomplete."""
    found: dict[str, list[float]] = {}
    for result in answer.get("MetricDataResults", ()):
        if result.get("StatusCode", "Complete") != "Complete":
            what = f"CloudWatch gives {result['Id']} as {result['StatusCode']}"
            raise PipelineError("CloudWatch", what, "Deploy again: it is judged again.")
        found.setdefault(result["Id"], []).extend(result["Values"])

    def figures(who: str) -> Figures:
        counts = {name: round(sum(found.get(f"{who}_{name}", ()))) for name in _COUNTED}
        return Figures(**counts, p99=max(found.get(f"{who}_{_P99}", ()), default=None))

    return Look(figures("new"), figures("stable"), round(sum(found.get(_DROPPED, ()))))


def refuse_unreadable(connection: Connection, function: str, version: str) -> None:
    """Raise PipelineError where no figures of a version may be read, before calls go to another."""
    now = connection.now()
    window = Window(now.replace(second=0, microsecond=0) - timedelta(minutes=1), now)
    query = {**metric_queries(function, version, version)[-1]}
    query["MetricStat"] = {**query["MetricStat"], "Period": window.values[Seen.PERIOD]}
    with explained_errors("CloudWatch", "cloudwatch:GetMetricData"):
        connection.metrics().get_metric_data(
            MetricDataQueries=[query], StartTime=window.start, EndTime=window.end
        )


def watch(
    canary: Canary,
    version: Observed,
    alias: Alias,
    connection: Connection,
    wait: Wait,
    look: Callable[[Window | None], Look],
    stage: Stage,
) -> Verdict:
    """Watch a version until it fails or its time is over, and return the verdict.

    `alias` gives it its part of the calls, and says since when. `look` reads what is seen in a
    window. What cannot be read is looked for again, up to the end; somebody else's change of the
    alias, which it raises as a Conflict, ends the watch at once.
    """
    rollout, strategy = canary.rollout, canary.rollout.strategy
    delay, since = metric_delay(connection, version), canary_in(alias)[1] or connection.now()
    while True:
        now = connection.now()
        left = strategy.seconds - (now - since).total_seconds()
        try:
            found = look(Window.of(since, now, delay))
            red = tuple(name for name, changed in found.red.items() if changed > since)
            verdict = judge(found.new, found.stable, rollout.thresholds, red, found.dropped)
        except Conflict:
            raise
        except PipelineError as error:
            verdict = Verdict(Outcome.INCONCLUSIVE, f"the figures cannot be read: {error.what}")
        if verdict.outcome is Outcome.FAILED or left <= 0:
            return verdict
        text = f"{alias}, {span(left)} left: {verdict.new}"
        stage.progress(text, round(strategy.seconds - left), math.ceil(strategy.seconds))
        pause = min(_LOOK_EVERY, strategy.seconds / 10, left)
        while pause > 0:
            if wait.stopped():
                then = "Deploy this release again: the canary is judged again."
                raise Interrupted(version.name, "stopped while a canary is under way", then)
            wait.sleep(min(wait.interval, pause))
            pause -= wait.interval


class Held(PipelineError):  # noqa: N818 - named like the other errors of the family
    """Nothing certain can be said of a canary: its part of the calls stays with it."""
