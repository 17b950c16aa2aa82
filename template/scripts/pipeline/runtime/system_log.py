"""What Lambda itself writes into a function's log: lines of text, or JSON from a level on."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..project.runtimes import language_of
from .function_code import FunctionConfig
from .invocation import Figures

_LEVELS = ("DEBUG", "INFO", "WARN")
_ON_DEMAND = {"initializationType": "on-demand", "phase": "init"}


@dataclass(frozen=True)
class SystemLog:
    """The log of one function, in the format and from the level that its configuration says."""

    config: FunctionConfig

    def init_start(self) -> str:
        """Return how the start of a process begins."""
        config = self.config
        language = language_of(config.runtime)[0].title()
        text = f"INIT_START Runtime Version: {config.runtime} (this machine's {language})\n"
        names = {"functionName": config.name, "functionVersion": config.version}
        record = {**_ON_DEMAND, "runtimeVersion": config.runtime, **names}
        return self._told(text, ("INFO", "initStart", record))

    def init_timeout(self) -> str:
        """Return the report of a start that took too long, and is repeated."""
        took = self.config.init_timeout * 1000
        text = f"INIT_REPORT Init Duration: {took:.2f} ms\tPhase: init\tStatus: timeout\n"
        record = {**_ON_DEMAND, "status": "timeout", "metrics": {"durationMs": took}}
        return self._told(text, ("WARN", "initReport", record))

    def start(self, request_id: str) -> str:
        """Return how an invocation begins."""
        text = f"START RequestId: {request_id} Version: {self.config.version}\n"
        record = {"requestId": request_id, "version": self.config.version}
        return self._told(text, ("INFO", "start", record))

    def timed_out(self, request_id: str) -> str:
        """Return what is said of a missed deadline before the report, which says so in JSON."""
        seconds = f"{self.config.timeout:.2f} seconds"
        return self._told(f"{_stamp()} {request_id} Task timed out after {seconds}\n\n")

    def exited(self, message: str, error_type: str) -> str:
        """Return what is said of a process that has ended, as `timed_out` does."""
        return self._told(f"{message}\n{error_type}\n")

    def end(self, request_id: str, figures: Figures, status: str, error_type: str) -> str:
        """Return how an invocation ends: `status` is `success`, `error` (of a type) or `timeout`.

        An exception that the runtime has reported is a success.
        """
        text = f"END RequestId: {request_id}\n{self._report(request_id, figures)}"
        outcome = {"requestId": request_id, "status": status}
        if status != "success":
            text += f"\tStatus: {status}"
        if error_type:
            text += f"\tError Type: {error_type}"
            outcome["errorType"] = error_type
        metrics: dict[str, float] = {"durationMs": round(figures.seconds * 1000, 3)}
        done = {**outcome, "metrics": metrics}
        metrics = {
            **metrics,
            "billedDurationMs": figures.billed_ms,
            "memorySizeMB": self.config.memory,
        }
        if figures.max_memory is not None:
            metrics["maxMemoryUsedMB"] = figures.max_memory
        if figures.init_seconds is not None:
            metrics["initDurationMs"] = round(figures.init_seconds * 1000, 3)
        levels = ("DEBUG", "INFO") if status == "success" else ("WARN", "WARN")
        return self._told(
            f"{text}\n",
            (levels[0], "runtimeDone", done),
            (levels[1], "report", {**outcome, "metrics": metrics}),
        )

    def _report(self, request_id: str, figures: Figures) -> str:
        parts = [
            f"REPORT RequestId: {request_id}",
            f"Duration: {figures.seconds * 1000:.2f} ms",
            f"Billed Duration: {figures.billed_ms} ms",
            f"Memory Size: {self.config.memory} MB",
        ]
        if figures.max_memory is not None:
            parts.append(f"Max Memory Used: {figures.max_memory} MB")
        if figures.init_seconds is not None:
            parts.append(f"Init Duration: {figures.init_seconds * 1000:.2f} ms")
        return "\t".join(parts)

    def _told(self, text: str, *events: tuple[str, str, Mapping[str, Any]]) -> str:
        """Return the text, or those of the events (level, kind and record) that are asked for."""
        if self.config.log_format != "JSON":
            return text
        least = _LEVELS.index(self.config.system_log_level)
        told = [
            {"time": _stamp(), "type": f"platform.{kind}", "record": record}
            for level, kind, record in events
            if _LEVELS.index(level) >= least
        ]
        return "".join(f"{json.dumps(event)}\n" for event in told)


def _stamp() -> str:
    """Return this moment as Lambda writes it."""
    moment = datetime.fromtimestamp(time.time(), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
