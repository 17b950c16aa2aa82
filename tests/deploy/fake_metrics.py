"""A stand-in for CloudWatch: figures of versions behind an alias, and alarms with their states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pipeline.deploy.verdict import Figures

from tests.deploy.deploy_support import NAME

# Figures of a version at the time that they are asked for.
At = Callable[[datetime], Figures]


@dataclass
class FakeMetrics:
    """Answers in the documented shapes of GetMetricData and DescribeAlarms.

    `figures` are those of the calls of `NAME:live`, by the version that ran; a metric that has no
    data has no values. `alarms` have a state and when they went into it. `asked` are the windows,
    and `refuses` is what GetMetricData answers instead.
    """

    figures: dict[str, Figures | At] = field(default_factory=dict)
    alarms: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    dropped: int = 0
    status: str = "Complete"
    refuses: Exception | None = None
    asked: list[tuple[datetime, datetime, int]] = field(default_factory=list)

    def get_metric_data(
        self,
        *,
        MetricDataQueries: list[Mapping[str, Any]],  # noqa: N803
        StartTime: datetime,  # noqa: N803
        EndTime: datetime,  # noqa: N803
    ) -> dict[str, Any]:
        """Answer like GetMetricData, with one value for a whole period."""
        if self.refuses:
            raise self.refuses
        results = []
        for query in MetricDataQueries:
            asked = query["MetricStat"]
            period = asked["Period"]
            assert period % 60 == 0
            assert StartTime.second == 0
            of = {one["Name"]: one["Value"] for one in asked["Metric"]["Dimensions"]}
            assert (of["FunctionName"], of["Resource"]) == (NAME, f"{NAME}:live")
            value = self._value(asked["Metric"]["MetricName"], of.get("ExecutedVersion"), EndTime)
            values = [] if value is None else [float(value)]
            results.append({"Id": query["Id"], "Values": values, "StatusCode": self.status})
        self.asked.append((StartTime, EndTime, period))
        return {"MetricDataResults": results}

    def describe_alarms(
        self,
        *,
        AlarmNames: list[str],  # noqa: N803
        AlarmTypes: list[str],  # noqa: N803
        MaxRecords: int = 50,  # noqa: N803
    ) -> dict[str, Any]:
        """Answer like DescribeAlarms; what is not there is left out."""
        assert AlarmTypes == ["MetricAlarm", "CompositeAlarm"]
        found = [
            {"AlarmName": name, "StateValue": state, "StateTransitionedTimestamp": since}
            for name, (state, since) in self.alarms.items()
            if name in AlarmNames
        ]
        return {"MetricAlarms": found[:MaxRecords], "CompositeAlarms": []}

    def _value(self, metric: str, version: str | None, end: datetime) -> float | None:
        if version is None:
            return {"AsyncEventsDropped": self.dropped}[metric]
        known = self.figures.get(version, Figures())
        figures = known if isinstance(known, Figures) else known(end)
        measured = {
            "Invocations": figures.calls,
            "Errors": figures.errors,
            "Throttles": figures.throttles,
            "Duration": figures.p99,
        }
        return measured[metric] or None
