"""CloudWatch for functions: what their calls measured, statistics of it, and alarms on those.

moto stores metrics, makes none for functions, and knows neither percentiles nor which dimensions
are meant; it judges no alarm. Here each call counts in the minute in which it started, as on AWS,
and an alarm is judged whenever somebody asks for it, the running minute included.
"""

from __future__ import annotations

import math
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from operator import ge, gt, le, lt
from typing import Any

from moto.awslambda.exceptions import LambdaClientError
from moto.cloudwatch.exceptions import (
    InvalidParameterCombination,
    InvalidParameterValue,
    ValidationError,
)
from moto.cloudwatch.models import (
    Alarm,
    CloudWatchBackend,
    MetricAggregatedDatum,
    MetricDatumBase,
    cloudwatch_backends,
)
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult
from moto.core.utils import utcnow

from .patches import Original, Patches

Dimensions = Sequence[Mapping[str, str]]
_MINUTE = 60
_UNITS = {"Duration": "Milliseconds"}
_COMPARE = {
    "GreaterThanOrEqualToThreshold": ge,
    "GreaterThanThreshold": gt,
    "LessThanOrEqualToThreshold": le,
    "LessThanThreshold": lt,
}
# An alarm looks this much further back for what is missing: so do the examples of CloudWatch.
_FURTHER_BACK = 2


class _Minute(MetricDatumBase):
    """The values of a metric in a minute, each with how often it came."""

    def __init__(self, name: str, dimensions: list[dict[str, str]], minute: datetime) -> None:
        super().__init__("AWS/Lambda", name, dimensions, minute, _UNITS.get(name, "Count"))
        self.values: Counter[float] = Counter()


class ThrottledError(LambdaClientError):
    """A function's reserved concurrency is in use; AWS's answer to a caller who waits."""

    code = 429

    def __init__(self) -> None:
        super().__init__("TooManyRequestsException", "Rate Exceeded.")


class Calls:
    """Counts and measures the calls of functions, in moto's CloudWatch."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Counter[tuple[str, str]] = Counter()
        self._minutes: dict[tuple[str, ...], _Minute] = {}

    @contextmanager
    def counted(self, function: Any, ceiling: int | None) -> Iterator[dict[str, float]]:
        """Count a call while the block runs; the block adds what it has measured.

        Raises ThrottledError when as many as `ceiling` run already.
        """
        name, started = (function.region, function.function_name), utcnow()
        with self._lock:
            throttled = ceiling is not None and self._running[name] >= ceiling
            self._running[name] += not throttled
        if throttled:
            self._measure(function, started, {"Throttles": 1})
            raise ThrottledError
        measured = {"Invocations": 1.0, "Throttles": 0, "ConcurrentExecutions": self._running[name]}
        try:
            yield measured
        finally:
            with self._lock:
                self._running[name] -= 1
        self._measure(function, started, measured)

    def _measure(self, function: Any, started: datetime, values: Mapping[str, float]) -> None:
        """Put the values of a call into its minute, for each set of dimensions that Lambda has."""
        minute = started.replace(second=0, microsecond=0)
        stored = cloudwatch_backends[function.account_id][function.region].metric_data
        with self._lock:
            for dimensions in _dimensions(function):
                of = [function.region, str(minute), *(one["Value"] for one in dimensions)]
                for name, value in values.items():
                    if (name, *of) not in self._minutes:
                        self._minutes[name, *of] = _Minute(name, dimensions, minute)
                        stored.append(self._minutes[name, *of])
                    self._minutes[name, *of].values[value] += 1


def serve_metrics(patches: Patches) -> None:
    """Let moto's CloudWatch answer with statistics as they are defined, and judge its alarms."""
    patches.wrap(CloudWatchBackend, "get_metric_data", _get_metric_data)
    patches.replace(CloudWatchResponse, "get_metric_statistics", _get_metric_statistics)
    for name in ("describe_alarms", "describe_alarms_for_metric"):
        patches.wrap(CloudWatchResponse, name, _judged)


def _dimensions(function: Any) -> list[list[dict[str, str]]]:
    alias, name, version = (
        getattr(function, "alias", None),
        function.function_name,
        function.version,
    )
    called = alias.name if alias else version
    resource = name if called == "$LATEST" else f"{name}:{called}"
    words = {"FunctionName": name, "Resource": resource, "ExecutedVersion": str(version)}
    listed = [{"Name": key, "Value": value} for key, value in words.items()]
    # Which version ran is told of an alias only.
    return [listed[:count] for count in range(4 if alias else 3)]


def _get_metric_data(
    original: Original,
    self: Any,
    queries: list[dict[str, Any]],
    start_time: datetime,
    end_time: datetime,
    scan_by: str = "TimestampAscending",
) -> list[dict[str, Any]]:
    original(self, [], start_time, end_time)  # refuses a span that is none
    results = []
    for query in queries:
        if "MetricStat" not in query:
            raise ValidationError("The embedded AWS evaluates no expressions, only MetricStat.")
        asked = {**query["MetricStat"], **query["MetricStat"]["Metric"]}
        found = _asked_series(self, asked, (start_time, end_time))
        found.sort(reverse=scan_by == "TimestampDescending")
        if query.get("ReturnData", True):
            results.append(
                {
                    "Id": query["Id"],
                    "Label": query.get("Label") or f"{asked['MetricName']} {asked['Stat']}",
                    "Timestamps": [moment for moment, _ in found],
                    "Values": [_statistic(asked["Stat"], values) for _, values in found],
                    "StatusCode": "Complete",
                }
            )
    return results


def _get_metric_statistics(self: Any) -> ActionResult:
    asked = self._get_params()
    plain, extended = asked.get("Statistics", []), asked.get("ExtendedStatistics", [])
    if not plain and not extended:
        raise InvalidParameterCombination("Must specify either Statistics or ExtendedStatistics")
    span = asked["StartTime"], asked["EndTime"]
    if span[0] >= span[1]:
        raise InvalidParameterValue(
            "The parameter StartTime must be less than the parameter EndTime."
        )
    datapoints = [
        {
            "Timestamp": moment,
            "Unit": asked.get("Unit") or _UNITS.get(asked["MetricName"], "Count"),
            **{stat: _statistic(stat, values) for stat in plain},
            "ExtendedStatistics": {stat: _statistic(stat, values) for stat in extended} or None,
        }
        for moment, values in _asked_series(self.cloudwatch_backend, asked, span)
    ]
    return ActionResult({"Label": asked["MetricName"], "Datapoints": datapoints})


def _asked_series(
    backend: Any, asked: Mapping[str, Any], span: tuple[datetime, datetime]
) -> list[tuple[datetime, Counter[float]]]:
    metric = asked["Namespace"], asked["MetricName"], asked.get("Dimensions", ())
    period, unit = int(asked["Period"]), asked.get("Unit")
    return _series(backend.get_all_metrics(), metric, span, period, unit)


def _series(
    data: Sequence[MetricDatumBase],
    metric: tuple[str, str, Dimensions],
    span: tuple[datetime, datetime],
    period: int,
    unit: str | None,
) -> list[tuple[datetime, Counter[float]]]:
    """Return the values of a metric by the beginning of their period, where there are any.

    `metric` is namespace, name and exactly these dimensions; `span`, in UTC and without a zone,
    begins with the whole minute.
    """
    namespace, name, dimensions = metric
    wanted = {(one["Name"], one["Value"]) for one in dimensions}
    start, end = span[0].replace(microsecond=0), span[1]
    start -= timedelta(seconds=start.second % min(period, _MINUTE))
    found: dict[datetime, Counter[float]] = defaultdict(Counter)
    for datum in data:
        moment = datum.timestamp
        if (
            (datum.namespace, datum.name) == (namespace, name)
            and start <= moment < end
            and {(one.name, one.value) for one in datum.dimensions} == wanted
            and unit in {None, datum.unit}
        ):
            late = (moment - start).total_seconds()
            found[moment - timedelta(seconds=late % period)].update(_values(datum))
    return sorted(found.items(), key=lambda item: item[0])


def _values(datum: Any) -> dict[float, int]:
    if isinstance(datum, _Minute):
        return dict(datum.values)
    if not isinstance(datum, MetricAggregatedDatum):
        return {datum.value: 1}
    # Any values will do that have these figures.
    inner = int(datum.sample_count) - 2
    if inner < 0:
        return {datum.sum: 1}
    ends = Counter([datum.min, datum.max])
    return ends + Counter({(datum.sum - datum.min - datum.max) / (inner or 1): inner})


def _statistic(name: str, values: Counter[float]) -> float:
    """Return a statistic under CloudWatch's name for it; `p99` and the like by nearest rank."""
    count = values.total()
    total = sum(value * often for value, often in values.items())
    simple = {
        "SampleCount": count,
        "Sum": total,
        "Average": total / count,
        "Minimum": min(values),
        "Maximum": max(values),
    }
    if name in simple:
        return float(simple[name])
    if not re.fullmatch(r"p\d{1,2}(\.\d+)?|p100", name):
        raise InvalidParameterValue(f"The embedded AWS knows no statistic {name}.")
    left = math.ceil(float(name[1:]) / 100 * count)
    for value in sorted(values):
        left -= values[value]
        if left <= 0:
            break
    return value


def _judged(original: Original, self: Any) -> Any:
    data, now = self.cloudwatch_backend.get_all_metrics(), utcnow()
    for alarm in [*self.cloudwatch_backend.alarms.values()]:
        # Those on expressions and on other alarms stay as they were set.
        if alarm.metric_name:
            _judge(alarm, data, now)
    return original(self)


def _judge(alarm: Alarm, data: Sequence[MetricDatumBase], now: datetime) -> None:
    """Set the state of an alarm, unless it was set by hand and nothing has changed since."""
    count, period = alarm.evaluation_periods, int(alarm.period)
    end = now.replace(second=0, microsecond=0) + timedelta(seconds=_MINUTE)
    start = end - timedelta(seconds=period * (count + _FURTHER_BACK))
    dimensions: Any = [{"Name": one.name, "Value": one.value} for one in alarm.dimensions]
    metric = (alarm.namespace, alarm.metric_name, dimensions)
    found = dict(_series(data, metric, (start, end), period, alarm.unit))
    moments = [start + timedelta(seconds=period * n) for n in range(count + _FURTHER_BACK)]
    stat = alarm.statistic or alarm.extended_statistic or ""
    values = [_statistic(stat, found[one]) if one in found else None for one in moments]
    over = _COMPARE[alarm.comparison_operator]
    breaching = [None if one is None else over(one, alarm.threshold) for one in values]
    needed = alarm.datapoints_to_alarm or count
    state = judged_state(breaching, count, needed, alarm.treat_missing_data or "missing")
    before = getattr(alarm, "judged", None)
    if state and state != before:
        vars(alarm)["judged"] = state
        shown = [one for one in values[-count:] if one is not None]
        reason = f"{len(shown)} of the last {count} datapoints are there: {shown}; the alarm goes "
        reason += f"off when {needed} are {alarm.comparison_operator} ({alarm.threshold})."
        alarm.update_state(reason, "{}", state)


def judged_state(
    breaching: Sequence[bool | None], count: int, needed: int, missing: str
) -> str | None:
    """Return the state that datapoints give an alarm, oldest first; None: as it was.

    A datapoint is breaching, or not, or missing (None). `needed` of `count` have to breach;
    `missing` says what stands for those that are not there, as `TreatMissingData` does.
    """
    there = [one for one in breaching if one is not None][-count:]
    stand_in = {"breaching": [True], "notBreaching": [False]}.get(missing, [])
    filled = there + stand_in * (count - len(there))
    if sum(filled) >= needed:
        return "ALARM"
    if False in filled:
        return "OK"
    if missing == "ignore":
        return None
    return "ALARM" if there else "INSUFFICIENT_DATA"
