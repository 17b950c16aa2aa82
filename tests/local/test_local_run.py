from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError
from pipeline.core.events import Warned
from pipeline.core.manifest import FunctionFacts
from pipeline.runtime.function_code import FunctionConfig, LocalRuntime
from pipeline.verbs.run import RunRequest, run_function

from tests.local.local_support import APP, MINOR, Seen, zipped

FACTS = FunctionFacts("Logs", f"python{MINOR}", "x86_64", "app.handle", "", {"FROM": "m"}, {})


@pytest.fixture
def request_(tmp_path: Path, python: Path, ric: Path) -> RunRequest:
    """Return a request to run the well known function."""
    path = tmp_path / "function.zip"
    path.write_bytes(zipped({"app.py": APP}))
    runtime = LocalRuntime(python, ric, MINOR)
    return RunRequest(path, FACTS, (), runtime, FunctionConfig("run", timeout=60))


def test_run_feeds_every_event_to_one_warm_process(request_: RunRequest) -> None:
    """Events run one after another in one process; logs and answers are shown in order."""
    seen = Seen()
    events = (b'{"do":"started"}', b'{"do":"print","text":"hello"}', b'{"do":"started"}')
    done = run_function(dataclasses.replace(request_, events=events), seen.reporter)
    assert [invocation.error for invocation in done] == [None, None, None]
    assert done[0].payload == done[2].payload
    lines = seen.lines()
    assert lines.index("hello") < lines.index('{"do": "print", "text": "hello"}')
    assert len([line for line in lines if line.startswith("REPORT")]) == 3


def test_run_shows_a_readable_trace(request_: RunRequest) -> None:
    """A trace has a line per frame, with the paths it would have on Lambda."""
    seen = Seen()
    events = (b'{"do":"raise"}', b'{"do":"x"}')
    done = run_function(dataclasses.replace(request_, events=events), seen.reporter)
    assert len([invocation for invocation in done if invocation.error]) == 1
    assert any('File "/var/task/app.py", line' in line for line in seen.lines())
    assert Warned("Unhandled ValueError: a bad value: \u00e9") in seen.events
    assert not [line for line in seen.lines() if "\r" in line]


def test_run_reaches_nothing_outside(request_: RunRequest) -> None:
    """Without an embedded AWS a call to AWS fails at once; manifest and settings meet."""
    settings = FunctionConfig("x", environment={"MINE": "1"}, memory=512)
    asked = dataclasses.replace(request_, events=[b'{"do":"environment"}'], settings=settings)
    done = run_function(asked, Seen().reporter)
    environment = json.loads(done[0].payload)
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert (environment["FROM"], environment["MINE"]) == ("m", "1")
    assert environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "512"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "Logs"


def test_run_says_that_the_python_is_another(request_: RunRequest) -> None:
    """Another minor than the runtime's is used with a clear note."""
    seen = Seen()
    facts = dataclasses.replace(FACTS, runtime="python3.99")
    run_function(dataclasses.replace(request_, function=facts, events=[b"{}"]), seen.reporter)
    (warning,) = [event.text for event in seen.events if isinstance(event, Warned)]
    assert warning.startswith(f"Python 3.99 is not on this machine: this runs on {MINOR}")


def test_run_refuses_an_event_that_is_no_json(request_: RunRequest) -> None:
    """The number of the bad event is named, and no process is left."""
    with pytest.raises(PipelineError, match="event 2: this is not JSON"):
        run_function(dataclasses.replace(request_, events=[b"{}", b"{"]), Seen().reporter)
