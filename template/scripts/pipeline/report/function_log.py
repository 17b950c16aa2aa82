"""A function's log for people: what happened, in which version and request; errors stand out.

Lambda writes lines of its own around those of the function, both as text or as JSON. What they look
like: Lambda's telemetry schema (2022-12-13), the runtime clients of Python and Node.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..core.foreign import harmless

# A piece of a line, and its style on a terminal in rich's words.
Part = tuple[str, str]

_SHORT = 8  # digits of a request's id: enough to tell requests apart
_ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# `2026/11/26/[12]6f1c...`, in a group that functions share `2026/11/26/NAME[12][6f1c...]`.
_STREAM = re.compile(r"(?:[0-9/]*/)?([^\[\]/]*)\[([^\]]+)\]")
_LEVELS = {"WARNING": "WARN", "CRITICAL": "ERROR", "FATAL": "ERROR"}
_LEVEL = "(TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL)"
# The formats of the runtime clients' loggers: level, time and request in their own order.
_PYTHON = re.compile(rf"\[{_LEVEL}\]\s+(?:\S+Z\s+({_ID})\s+)?(.*)", re.DOTALL)
_NODE = re.compile(rf"\S+Z\t({_ID}|undefined)\t{_LEVEL}\t(.*)", re.DOTALL)
_SAID_BY_LAMBDA = re.compile(rf"(?:[0-9T:.-]+Z |RequestId: )+({_ID}) (?:Error: )?(.*)", re.DOTALL)
_STARTED = re.compile(rf"START RequestId: ({_ID})")
_COLD = re.compile(r"(?:INIT|RESTORE)_START Runtime Version: (.*?)(?:\tRuntime Version ARN.*)?\Z")
_REPORT = re.compile(rf"REPORT RequestId: ({_ID})\t(.*)", re.DOTALL)
# What comes after the report is of no request: AWS's, or the next one's that has not begun.
_ENDS = re.compile(r'REPORT RequestId: |\{.*"type": ?"platform\.report"')
# The same figures in REPORT and in platform.report.
_FIGURES = {
    "durationMs": "Duration", "memorySizeMB": "Memory Size", "maxMemoryUsedMB": "Max Memory Used",
    "initDurationMs": "Init Duration", "restoreDurationMs": "Restore Duration",
}  # fmt: skip
_STARTS = {"Init Duration": "cold start", "Restore Duration": "restored in"}
_SYSTEM = "SYSTEM"  # what Lambda says when all is well
_STYLES = {"ERROR": "bold red", "WARN": "yellow", _SYSTEM: "dim", "DEBUG": "dim", "TRACE": "dim"}
# What the columns say already, or what is said in other words.
_SAID = ("timestamp", "level", "message", "msg", "requestId", "AWSRequestId", "stackTrace")


@dataclass(frozen=True)
class LogLine:
    """A line of a function's log: milliseconds since 1970, the stream, the text."""

    timestamp: int
    stream: str
    message: str

    @property
    def function(self) -> str:
        """The function's name where the stream has it: in groups that functions may share."""
        found = _STREAM.match(self.stream)
        return found[1] if found else ""

    @property
    def version(self) -> str:
        """The function's version that wrote it, empty in a stream that Lambda did not make."""
        found = _STREAM.match(self.stream)
        return found[2] if found else ""


@dataclass(frozen=True)
class Entry:
    """A line that was read: its request where that is known, its level, and what it says.

    `level` is ERROR, WARN, INFO, DEBUG, TRACE, SYSTEM for what Lambda itself says, or empty.
    """

    line: LogLine
    request_id: str
    level: str
    text: str

    def document(self) -> dict[str, Any]:
        """Return what `--json` prints of it: the line as it was written, and what is known."""
        known = {"version": self.line.version, "request_id": self.request_id, "level": self.level}
        return {**asdict(self.line), **known}


@dataclass
class LogReader:
    """Reads one line after another; a line belongs to the request that its stream is in."""

    requests: dict[str, str] = field(default_factory=dict)
    day: str = ""

    def entry(self, line: LogLine) -> Entry:
        """Read a line."""
        request, level, text = _read(line.message.rstrip("\n"))
        request = request or self.requests.get(line.stream, "")
        self.requests[line.stream] = "" if _ENDS.match(line.message) else request
        return Entry(line, request, level, text)

    def shown(self, entry: Entry) -> Iterator[list[Part]]:
        """Give the lines for people: time (UTC), version, request and text, a day as it begins."""
        moment = datetime.fromtimestamp(entry.line.timestamp / 1000, UTC)
        if (day := f"{moment:%Y-%m-%d} UTC") != self.day:
            self.day = day
            yield [(day, "dim")]
        if not entry.text:
            return
        version = entry.line.version
        word = f"{entry.level} " if entry.level in ("ERROR", "WARN") else ""
        first, *more = harmless(word + entry.text).splitlines() or [""]
        style = _STYLES.get(entry.level, "")
        yield [
            (f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03} ", "dim"),
            (harmless(f"v{version} " if version.isdecimal() else f"{version} "), "cyan"),
            (f"{harmless(entry.request_id[:_SHORT]):<{_SHORT}} ", "magenta"),
            (first, style),
        ]
        yield from ([(f"    {line}", style)] for line in more)


def _read(message: str) -> tuple[str, str, str]:
    """Return the request's id, the level and the text for people; what is not known is empty."""
    if message.startswith("{"):
        try:
            document = json.loads(message)
        except (ValueError, RecursionError):
            return "", "", message
        kind = str(document.get("type", ""))
        if kind.startswith("platform.") and isinstance(record := document.get("record"), Mapping):
            return _platform(kind.removeprefix("platform."), record)
        return _json(document)
    if found := _PYTHON.match(message):
        return found[2] or "", _LEVELS.get(found[1], found[1]), found[3]
    if found := _NODE.match(message):
        request = "" if found[1] == "undefined" else found[1]
        return request, _LEVELS.get(found[2], found[2]), found[3]
    return _system(message)


def _system(message: str) -> tuple[str, str, str]:
    if found := _STARTED.match(message):
        return found[1], _SYSTEM, f"start {found[1]}"
    if message.startswith("END RequestId: "):
        return "", _SYSTEM, ""  # the report follows
    if found := _REPORT.match(message):
        pairs = (part.partition(": ") for part in re.split(r"[\t\n]", found[2]))
        return found[1], *_report({name: value for name, _, value in pairs})
    if found := _COLD.match(message):
        return "", _SYSTEM, f"cold start, {found[1]}"
    if message.startswith("INIT_REPORT "):
        return "", "WARN", message
    if found := _SAID_BY_LAMBDA.match(message):
        return found[1], "ERROR", found[2]
    return "", "ERROR" if message.startswith("Traceback (") else "", message


def _report(figures: Mapping[str, str]) -> tuple[str, str]:
    """Return level and text of an invocation's end."""
    status = figures.get("Status", "success")
    parts = [
        f"took {figures.get('Duration', '?')}",
        f"{figures['Max Memory Used'].removesuffix(' MB')} of {figures['Memory Size']}"
        if {"Max Memory Used", "Memory Size"} <= figures.keys()
        else "",
        *(f"{words} {figures[name]}" for name, words in _STARTS.items() if name in figures),
        status if status != "success" else "",
        figures.get("Error Type", ""),
    ]
    return _SYSTEM if status == "success" else "ERROR", ", ".join(filter(None, parts))


def _platform(kind: str, record: Mapping[str, Any]) -> tuple[str, str, str]:
    request = str(record.get("requestId", ""))
    if kind == "start":
        return request, _SYSTEM, f"start {request}"
    if kind in ("initStart", "restoreStart"):
        return "", _SYSTEM, f"cold start, {record.get('runtimeVersion', '')}"
    if kind == "report":
        metrics = record.get("metrics", {})
        figures = {
            name: f"{metrics[key]} {'MB' if key.endswith('MB') else 'ms'}"
            for key, name in _FIGURES.items()
            if isinstance(metrics, Mapping) and key in metrics
        }
        words = {"Status": record.get("status"), "Error Type": record.get("errorType")}
        figures.update({name: str(word) for name, word in words.items() if word})
        return request, *_report(figures)
    if record.get("status", "success") == "success":
        return request, _SYSTEM, ""  # runtimeDone and the like: the report follows
    return request, "WARN", f"{kind}: {_pairs(record, ('requestId', 'metrics'))}"


def _json(document: Mapping[str, Any]) -> tuple[str, str, str]:
    """Read a line of a function that logs in JSON."""
    request = str(document.get("requestId") or document.get("AWSRequestId") or "")
    if "_aws" in document:
        return request, "DEBUG", f"metrics {_pairs(document, ('_aws', *_SAID))}"
    level = str(document.get("level", "")).upper()
    message = document.get("message", document.get("msg", ""))
    text = message if isinstance(message, str) else json.dumps(message)
    trace = document.get("stackTrace") or ()
    # A function may write anything there.
    lines = trace if isinstance(trace, list) else [trace] * bool(trace)
    text = "\n".join([f"{text} {_pairs(document, _SAID)}".strip(), *map(str, lines)])
    return request, _LEVELS.get(level, level), text


def _pairs(document: Mapping[str, Any], without: tuple[str, ...]) -> str:
    """Return the rest of a document as `key=value`, texts with blanks as JSON."""
    return " ".join(
        f"{key}={value if isinstance(value, str) and ' ' not in value else json.dumps(value)}"
        for key, value in document.items()
        if key not in without
    )
