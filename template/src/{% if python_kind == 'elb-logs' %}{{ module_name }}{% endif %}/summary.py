"""What became of the lines, as one JSON line that is CloudWatch metrics too."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_LAST_FEW = 10
_NAMESPACE = "LoadBalancerLogs"


@dataclass(slots=True)
class Failures:
    """How often something failed, with the last few reasons."""

    total: int = 0
    last_few: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_FEW))

    def add(self, reason: str) -> None:
        """Count one failure."""
        self.total += 1
        self.last_few.append(reason)

    def report(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"total": self.total, "lastFew": list(self.last_few)}


@dataclass(slots=True)
class Summary:
    """The counts of one invocation, filled while it runs.

    A line is `parsed` if it is in a known format and `sent` once the connection that carried it
    came to a clean end. Malformed lines are sent too. `failed` lines were not sent.
    """

    encountered: int = 0
    parsed: int = 0
    sent: int = 0
    parsing: Failures = field(default_factory=Failures)
    reading: Failures = field(default_factory=Failures)
    sending: Failures = field(default_factory=Failures)
    ended_cleanly: bool = False

    @classmethod
    def of_failure(cls, reason: str) -> Summary:
        """Return that of an invocation that could not begin to send."""
        summary = cls()
        summary.sending.add(reason)
        return summary

    @property
    def failed(self) -> int:
        """Return how many of the lines that were read are not known to have arrived."""
        return self.encountered - self.sent

    def end_cleanly(self) -> None:
        """Note that the peer has taken all that was read."""
        self.sent = self.encountered
        self.ended_cleanly = True

    @property
    def is_complete(self) -> bool:
        """Tell whether every object was read to its end and every line sent."""
        return self.ended_cleanly and not self.reading.total

    def report(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "lines": {
                "encountered": self.encountered,
                "parsed": self.parsed,
                "sent": self.sent,
                "failed": self.failed,
            },
            "failures": {
                "parsing": self.parsing.report(),
                "reading": self.reading.report(),
                "sending": self.sending.report(),
            },
        }


def summary_line(summary: Summary, dimensions: Mapping[str, str], now: float) -> str:
    """Return the summary as a log line in CloudWatch's embedded metric format.

    `now` is in seconds since 1970. CloudWatch makes metrics of it without a call from here.
    """
    metrics = {
        "LinesEncountered": summary.encountered,
        "LinesParsed": summary.parsed,
        "LinesSent": summary.sent,
        "LinesFailed": summary.failed,
    }
    directive = {
        "Namespace": _NAMESPACE,
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": name, "Unit": "Count"} for name in metrics],
    }
    metadata = {"Timestamp": int(now * 1000), "CloudWatchMetrics": [directive]}
    return json.dumps({**summary.report(), **dimensions, **metrics, "_aws": metadata})
