"""What the calls of a new version say: that it is healthy, that it failed, or nothing certain.

It counts calls, not minutes: metrics of `function:live` by the version that ran, and the alarms
that an environment names. A verdict is a plain function of such figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from ..core.errors import Conflict, Interrupted, PipelineError
from ..core.events import Stage
from ..core.names import ALIAS
from ..core.text import counted, span
from .aws_errors import explained_errors
from .aws_session import Connection
from .observe import Alias, Wait
from .traffic import Canary, Thresholds, canary_in

_MINUTE, _LONGEST_PERIOD = 60, 86400
# Minutes older than 15 days are gone; of seven counts one answer holds no more than ten days.
_MOST_DAYS = timedelta(days=9)
_LOOK_EVERY = 30.0  # seconds; a short canary is looked at ten times
_COUNTED = {"calls": "Invocations", "errors": "Errors", "throttles": "Throttles"}
_SUM, _P99 = "Sum", "p99"
_DROPPED, _DURATION = "dropped", ("p99", "Duration", "p99")


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
        return (
            f"{counted(self.calls, 'call')}, {self.errors} failed, {self.throttles} throttled{p99}"
        )


@dataclass(frozen=True)
class Verdict:
    """A verdict with its reason, and the figures of the new version and of the one beside it."""

    outcome: Outcome
    why: str
    new: Figures = Figures()
    stable: Figures = Figures()


def judge(
    seen: tuple[Figures, Figures, int], limits: Thresholds, red: Sequence[str] = ()
) -> Verdict:
    """Judge a new version beside the one that serves, by what `figures_in` gives.

    `red` are the alarms that have turned red since the start. What is as bad in the version that
    serves does not speak against the new one: so a fix can be deployed where it is needed.
    """
    new, stable, dropped = seen
    if red:
        outcome, why = Outcome.FAILED, f"the alarm {', '.join(red)} turned red"
    elif new.asked < limits.calls:
        outcome = Outcome.INCONCLUSIVE
        why = f"{new.asked} calls were seen, and fewer than {limits.calls} decide nothing"
    elif limits.p99 is not None and new.p99 is None and new.calls:
        outcome, why = Outcome.INCONCLUSIVE, "CloudWatch gives no p99"
    elif why := _broken(new, stable, limits, dropped):
        outcome = Outcome.FAILED
    else:
        outcome, why = Outcome.HEALTHY, "no threshold is broken"
    return Verdict(outcome, why, new, stable)


def _broken(new: Figures, stable: Figures, limits: Thresholds, dropped: int) -> str:
    for what, part, whole, limit in (
        ("failed", "errors", "calls", limits.errors),
        ("were throttled", "throttles", "asked", limits.throttles),
    ):
        rate, beside = (_rate(getattr(one, part), getattr(one, whole)) for one in (new, stable))
        if rate > max(limit, beside):
            return f"{rate:.1%} of its calls {what}, more than {limit:.2%}"
    if limits.p99 is not None and (new.p99 or 0.0) > max(limits.p99, stable.p99 or 0.0):
        return f"p99 is {new.p99:,.0f} ms, more than {limits.p99:,.0f} ms"
    if limits.dead_letters is not None and dropped > limits.dead_letters:
        return f"{counted(dropped, 'event')} given up, more than {limits.dead_letters}"
    return ""


def _rate(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def metric_queries(function: str, new: object, stable: str, seconds: float) -> Any:
    """Return what GetMetricData is asked for: of both versions behind the alias, and of all of it.

    `new` may stand for a version that is not published yet. Counts are asked for by the minute; a
    percentile is none of percentiles, so that of all `seconds` is asked for.
    """
    whole = min(_MINUTE * (math.ceil(seconds / _MINUTE) + 1), _LONGEST_PERIOD)
    names = ("FunctionName", "Resource", "ExecutedVersion")

    def query(name: str, metric: str, statistic: str, *version: object) -> Any:
        pairs = zip(names, (function, f"{function}:{ALIAS}", *version), strict=False)
        dimensions = [{"Name": key, "Value": value} for key, value in pairs]
        named = {"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": dimensions}
        period = whole if statistic == _P99 else _MINUTE
        return {"Id": name, "MetricStat": {"Metric": named, "Period": period, "Stat": statistic}}

    measured = [*((key, metric, _SUM) for key, metric in _COUNTED.items()), _DURATION]
    return [
        query(_DROPPED, "AsyncEventsDropped", _SUM),
        *(query(f"new_{key}", *one, new) for key, *one in measured),
        *(query(f"stable_{key}", *one, stable) for key, *one in measured),
    ]


def figures_in(answer: Mapping[str, Any]) -> tuple[Figures, Figures, int]:
    """Return the figures of the new and the stable version, and how many events were given up.

    Raises PipelineError for an answer that AWS calls incomplete.
    """
    found: dict[str, list[float]] = {}
    for result in answer.get("MetricDataResults", ()):
        if result.get("StatusCode", "Complete") != "Complete":
            what = f"CloudWatch gives {result['Id']} as {result['StatusCode']}"
            raise PipelineError("CloudWatch", what, "Deploy again: it is judged again.")
        found.setdefault(result["Id"], []).extend(result["Values"])

    def figures(who: str) -> Figures:
        counts = {name: round(sum(found.get(f"{who}_{name}", ()))) for name in _COUNTED}
        return Figures(**counts, p99=max(found.get(f"{who}_{_P99}", ()), default=None))

    return figures("new"), figures("stable"), round(sum(found.get(_DROPPED, ())))


def refuse_unreadable(connection: Connection, function: str, version: str) -> None:
    """Raise PipelineError where no figures may be read, before calls go to a new version."""
    now = connection.now()
    with explained_errors("CloudWatch", "cloudwatch:GetMetricData"):
        connection.clients("cloudwatch").get_metric_data(
            MetricDataQueries=metric_queries(function, version, version, _MINUTE),
            StartTime=now.replace(second=0, microsecond=0) - timedelta(minutes=1),
            EndTime=now,
        )


def watch(
    canary: Canary,
    alias: Alias,
    delay: float,
    connection: Connection,
    wait: Wait,
    look: Callable[[datetime, datetime, datetime], Verdict],
    stage: Stage,
) -> Verdict:
    """Watch a canary until it fails or its time is over, and return the verdict.

    The alias says since when; what is seen is `delay` seconds old. `look` judges by what is between
    two times, and by what came after the start. What cannot be read is looked for again, up to the
    end; somebody else's change of the alias, a Conflict, ends the watch at once.
    """
    strategy, since = canary.rollout.strategy, canary_in(alias)[1] or connection.now()
    while True:
        now = connection.now()
        left = strategy.seconds - (now - since).total_seconds()
        end = now - timedelta(seconds=delay)
        start = max(since, end - _MOST_DAYS).replace(second=0, microsecond=0)
        try:
            verdict = look(start, end, since)
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
                raise Interrupted(ALIAS, "stopped while a canary is under way", then)
            wait.sleep(min(wait.interval, pause))
            pause -= wait.interval


class Held(PipelineError):  # noqa: N818 - named like the other errors of the family
    """Nothing certain can be said of a canary: its part of the calls stays with it."""
