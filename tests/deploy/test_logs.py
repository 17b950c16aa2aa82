"""`logs`: the lines of a function's log, each once, readable, with their version and request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.paginate import Paginator
from pipeline.core.errors import PipelineError, UsageError
from pipeline.deploy.aws_errors import Throttled, Unanswered
from pipeline.deploy.aws_session import Connection
from pipeline.project.project import Environment
from pipeline.report.function_log import Entry, LogLine, LogReader
from pipeline.verbs.logs import LogOptions, function_log
from pipeline.verbs.which_function import Place

from tests.deploy.deploy_support import NAME, OLD, Recorder
from tests.deploy.fake_lambda import FakeLambda
from tests.deploy.test_deploy_alias import deploy
from tests.words import refused

NOW = datetime(2026, 11, 26, 9, 5, tzinfo=UTC)
MOMENT = int(NOW.timestamp() * 1000) - 60_000
REQUEST = "6f1c2a3b-0000-4000-8000-000000000001"
GROUP = f"/aws/lambda/{NAME}"


@dataclass
class FakeLogs:
    """CloudWatch Logs with one group: two events on a page, and an empty page in between.

    `refuses` are errors for the calls to come.
    """

    events: list[tuple[int, str, str]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    refuses: list[Exception] = field(default_factory=list)

    def get_paginator(self, name: str) -> Any:
        """Return botocore's own."""
        config = {"input_token": "nextToken", "output_token": "nextToken", "result_key": "events"}
        make: Any = Paginator
        return make(getattr(self, name), config, None)

    def filter_log_events(self, **request: Any) -> dict[str, Any]:
        """Answer like FilterLogEvents."""
        self.calls.append(request)
        if self.refuses:
            raise self.refuses.pop(0)
        wanted = [
            {"timestamp": at, "logStreamName": stream, "message": text, "eventId": f"{stream}{at}"}
            for at, stream, text in sorted(self.events)
            if at >= request["startTime"]
        ]
        pages: list[list[dict[str, Any]]] = [[]]
        for start in range(0, len(wanted), 2):
            pages += [wanted[start : start + 2], []]
        number = int(request.get("nextToken", "0"))
        more = {"nextToken": str(number + 1)} if number + 1 < len(pages) else {}
        return {"events": pages[number], **more}


def refusal(code: str) -> ClientError:
    """Return an error of CloudWatch Logs."""
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "FilterLogEvents")


class Stop(Exception):  # noqa: N818 - what ends a test's following
    """Somebody pressed Ctrl-C."""


def log(
    logs: FakeLogs, fake: FakeLambda | None = None, pauses: list[Any] | None = None, **options: Any
) -> Iterator[list[Entry]]:
    """Read the log; in each pause of following the next of `pauses` happens, then an end."""
    fake = fake or FakeLambda.holding(OLD)
    there = Connection(fake, lambda _: logs)
    coming = list(pauses or ())

    def pause(seconds: float) -> None:
        slept.append(seconds)
        if not coming:
            raise Stop
        coming.pop(0)()

    place = Place(Environment("CI"), NAME, there)
    return function_log(place, LogOptions(**options), NOW, Recorder().reporter, pause)


slept: list[float] = []


def texts(pages: Iterator[list[Entry]]) -> list[str]:
    """Return what the entries say."""
    return [entry.text for page in pages for entry in page]


def stream(version: str) -> str:
    """Return the name that Lambda gives a stream."""
    return f"2026/11/26/[{version}]0123456789abcdef"


def test_all_pages_are_read_and_versions_are_told_from_the_streams() -> None:
    """An empty page is not the end; a release is named as in a rollback, or by Lambda's number."""
    fake = FakeLambda.holding(OLD)
    deploy(fake, "2.0.7")
    deploy(fake, "2.0.8")
    lines = [(MOMENT + n, stream(v), f"{n}") for n, v in enumerate(["1", "2", "$LATEST", "1", "2"])]
    logs = FakeLogs(lines)
    assert texts(log(logs, fake)) == ["0", "1", "2", "3", "4"]
    assert len(logs.calls) > 3
    assert logs.calls[0]["startTime"] == int(NOW.timestamp() * 1000) - 3_600_000
    for version in ("2.0.7", "1"):
        assert texts(log(logs, fake, version=version)) == ["0", "3"]
    assert texts(log(logs, fake, version="$LATEST")) == ["2"]
    fake.move("1", v2=0.1)
    assert texts(log(logs, fake, version="live")) == ["0", "1", "3", "4"]
    with refused("logs of CI-Greeter", PipelineError):
        list(log(logs, fake, version="2.0.9"))


def test_the_group_is_the_functions_own_setting() -> None:
    """Of a group that functions share, the lines of this one are shown."""
    fake = FakeLambda.holding(OLD, LoggingConfig={"LogGroup": "/shared"})
    names = (f"2026/11/26/{NAME}[3][abc]", "2026/11/26/Other[3][abc]")
    logs = FakeLogs([(MOMENT + n, name, name) for n, name in enumerate(names)])
    assert texts(log(logs, fake)) == [names[0]]
    assert logs.calls[0]["logGroupName"] == "/shared"


def test_following_shows_each_line_once_and_late_ones_too() -> None:
    """A line may arrive after younger ones; when AWS limits the calls, they become rarer."""
    logs = FakeLogs([(MOMENT, stream("1"), "first")])
    slept.clear()
    coming = [
        lambda: logs.events.append((MOMENT - 5, stream("2"), "late")),
        lambda: logs.refuses.append(refusal("ThrottlingException")),
        lambda: logs.events.append((MOMENT + 7, stream("1"), "new")),
    ]
    seen: list[str] = []
    with pytest.raises(Stop):
        seen.extend(entry.text for page in log(logs, pauses=coming, follow=True) for entry in page)
    assert seen == ["first", "late", "new"]
    assert slept == [2.0, 2.0, 4.0, 2.0]
    with refused("/aws/lambda/CI-Greeter", Throttled):
        list(log(FakeLogs(refuses=[refusal("ThrottlingException")])))


@pytest.mark.parametrize(
    ("since", "seconds"),
    [("15m", 900), ("2h", 7200), ("1d", 86400), ("2026-11-26T08:05", 3600),
     ("2026-11-26T10:00:00+02:00", 3900), ("2026-11-26T09:04:00Z", 60)],
)  # fmt: skip
def test_since_is_a_period_or_a_moment(since: str, seconds: int) -> None:
    """A moment without an offset is UTC, as everything that is shown."""
    logs = FakeLogs()
    list(log(logs, since=since))
    assert logs.calls[0]["startTime"] == (int(NOW.timestamp()) - seconds) * 1000


@pytest.mark.parametrize("since", ["999999w", "0001-01-01"])
def test_since_may_be_before_there_was_any_log(since: str) -> None:
    """AWS takes no moment before 1970, and Python none before the year 1."""
    logs = FakeLogs()
    list(log(logs, since=since))
    assert 0 <= logs.calls[0]["startTime"] < MOMENT


@pytest.mark.parametrize("since", ["15", "yesterday", "2026-11-26T09:06", "1y"])
def test_what_is_no_time_before_now_is_refused(since: str) -> None:
    """A misspelt period must not become another one."""
    with pytest.raises(UsageError) as caught:
        list(log(FakeLogs(), since=since))
    assert caught.value.where == "--since"


def test_a_function_that_was_never_called_has_an_empty_log() -> None:
    """Lambda makes the group with the first call; what else is refused is an error."""
    assert list(log(FakeLogs(refuses=[refusal("ResourceNotFoundException")]))) == []
    with refused("/aws/lambda/CI-Greeter", PipelineError):
        list(log(FakeLogs(refuses=[refusal("AccessDeniedException")])))
    with pytest.raises(Unanswered):
        list(log(FakeLogs(refuses=[EndpointConnectionError(endpoint_url="http://gone")])))


def shown(*messages: str) -> list[str]:
    """Return a log as people see it."""
    reader = LogReader()
    entries = [reader.entry(LogLine(MOMENT, stream("12"), message)) for message in messages]
    return ["".join(text for text, _ in line) for one in entries for line in reader.shown(one)]


START = "START RequestId: {0} Version: 12\n"
REPORT = (
    "REPORT RequestId: {0}\tDuration: 12.34 ms\tBilled Duration: 213 ms\tMemory Size: 256 MB\t"
    "Max Memory Used: 70 MB\tInit Duration: 200.10 ms\t\n"
)
PLATFORM = {
    "requestId": REQUEST, "status": "timeout", "metrics": {"durationMs": 3000.0, "billedDurationMs":
    3000, "memorySizeMB": 256, "maxMemoryUsedMB": 70},
}  # fmt: skip


def test_text_is_readable_and_belongs_to_its_request() -> None:
    """Between START and REPORT lines are of that request; a trace has lines of its own."""
    lines = shown(
        "INIT_START Runtime Version: python:3.13.v30\tRuntime Version ARN: arn:aws:lambda:x\n",
        START.format(REQUEST),
        "printed\n",
        f"[ERROR]\t2026-11-26T09:04:00.000Z\t{REQUEST}\tno such bucket\rTraceback\r  line 3\n",
        f"2026-11-26T09:04:03.000Z {REQUEST} Task timed out after 3.00 seconds\n\n",
        f"2026-11-26T09:04:03.000Z\t{REQUEST}\tWARN\tfrom Node\n",
        f"END RequestId: {REQUEST}\n",
        REPORT.format(REQUEST),
        "between two requests\n",
    )
    at, request = "09:04:00.000 v12", REQUEST[:8]
    assert lines == [
        "2026-11-26 UTC",
        f"{at}          cold start, python:3.13.v30",
        f"{at} {request} start {REQUEST}",
        f"{at} {request} printed",
        f"{at} {request} ERROR no such bucket",
        "    Traceback",
        "      line 3",
        f"{at} {request} ERROR Task timed out after 3.00 seconds",
        f"{at} {request} WARN from Node",
        f"{at} {request} took 12.34 ms, 70 of 256 MB, cold start 200.10 ms",
        f"{at}          between two requests",
    ]
    assert max(map(len, lines)) <= 80


def test_a_line_that_begins_with_an_id_of_the_functions_own_is_no_error() -> None:
    """Lambda writes the time or a word before a request's id; a function may begin with any."""
    order = "00000000-0000-4000-8000-00000000abcd"
    lines = shown(
        START.format(REQUEST), f"{order} was shipped\n", f"RequestId: {REQUEST} Error: killed\n"
    )
    at = f"09:04:00.000 v12 {REQUEST[:8]}"
    assert lines[2:] == [f"{at} {order} was shipped", f"{at} ERROR killed"]


def test_json_is_readable_too() -> None:
    """Of the function, of Lambda itself, and metrics; what is no object is shown as it is."""
    trace = ['  File "app.py", line 3, in handle', "LookupError: x"]
    error = {
        "timestamp": "2026-11-26T09:04:00Z", "level": "ERROR", "message": "no such bucket",
        "logger": "root", "requestId": REQUEST, "stackTrace": trace, "errorType": "LookupError",
    }  # fmt: skip
    documents = [
        {"time": "", "type": "platform.start", "record": {"requestId": REQUEST, "version": "12"}},
        error,
        {"level": "info", "msg": "counted", "lines": 3, "of": "two words"},
        {"_aws": {"Timestamp": 1, "CloudWatchMetrics": []}, "Lines": 3},
        {"time": "", "type": "platform.runtimeDone", "record": {"requestId": REQUEST}},
        {"time": "", "type": "platform.report", "record": PLATFORM},
        {"message": "counted", "stackTrace": 5},
    ]
    at = f"09:04:00.000 v12 {REQUEST[:8]}"
    assert shown(*map(json.dumps, documents), "{no json")[1:] == [
        f"{at} start {REQUEST}",
        f"{at} ERROR no such bucket logger=root errorType=LookupError",
        f"    {trace[0]}",
        "    LookupError: x",
        f'{at} counted lines=3 of="two words"',
        f"{at} metrics Lines=3",
        f"{at} ERROR took 3000.0 ms, 70 of 256 MB, timeout",
        f"{at.replace(REQUEST[:8], ' ' * 8)} counted",
        "    5",
        f"{at.replace(REQUEST[:8], ' ' * 8)} {{no json",
    ]


def test_a_log_cannot_steer_the_reader() -> None:
    """Neither a terminal nor a build server takes what a function logs for a command."""
    assert "\x1b" not in shown("\x1b[2Jgone")[1]
    assert "##teamcity[" not in shown("##teamcity[x]")[1]
