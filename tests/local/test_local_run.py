from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError
from pipeline.core.events import Warned
from pipeline.project.project import Project
from pipeline.runtime.function_code import FunctionCode, FunctionConfig, LocalRuntime
from pipeline.verbs.run import run_events, run_settings

from tests.local.local_support import APP, MINOR, Seen, written
from tests.project.values_support import SETTINGS, write_settings
from tests.words import refused

CONFIG = FunctionConfig("Logs", timeout=60, runtime=f"python{MINOR}")
FUNCTION = "AWS::Lambda::Function"
LOCAL = '\n[tool.pipeline.environments.local.variables]\n"Orders.Queue" = "fast"\n'


@pytest.fixture
def app(tmp_path: Path, python: Path, ric: Path) -> FunctionCode:
    """Return the well known function."""
    folder = written(tmp_path, {"app.py": APP})
    return FunctionCode(folder, "app.handle", LocalRuntime(python, ric, MINOR))


def test_run_feeds_every_event_to_one_warm_process(app: FunctionCode) -> None:
    """Events run one after another in one process; logs and answers are shown in order."""
    seen = Seen()
    events = (b'{"do":"started"}', b'{"do":"print","text":"hello"}', b'{"do":"started"}')
    done = run_events(app, CONFIG, events, seen.reporter)
    assert [invocation.error for invocation in done] == [None, None, None]
    assert done[0].payload == done[2].payload
    lines = seen.lines()
    assert lines.index("hello") < lines.index('{"do": "print", "text": "hello"}')
    assert len([line for line in lines if line.startswith("REPORT")]) == 3


def test_run_shows_a_readable_trace(app: FunctionCode) -> None:
    """A trace has a line per frame, with the paths it would have on Lambda."""
    seen = Seen()
    done = run_events(app, CONFIG, (b'{"do":"raise"}', b'{"do":"x"}'), seen.reporter)
    assert len([invocation for invocation in done if invocation.error]) == 1
    assert any('File "/var/task/app.py", line' in line for line in seen.lines())
    assert Warned("Unhandled ValueError: a bad value: \u00e9") in seen.events
    assert not [line for line in seen.lines() if "\r" in line]


def test_run_reaches_nothing_outside(app: FunctionCode) -> None:
    """Without an embedded AWS a call to AWS fails at once; the settings reach the function."""
    settings = replace(CONFIG, environment={"MINE": "1"}, memory=512)
    (done,) = run_events(app, settings, [b'{"do":"environment"}'], Seen().reporter)
    environment = json.loads(done.payload)
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert environment["MINE"] == "1"
    assert environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "512"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "Logs"


def test_run_fills_the_variables_as_for_local(tmp_path: Path) -> None:
    """Name, runtime and environment are the function's; a value that is not there is named."""
    project = Project.load(write_settings(tmp_path, SETTINGS + LOCAL))
    seen = Seen()
    settings = run_settings(project, project.function.facts(), {}, seen.reporter)
    assert (settings.name, settings.runtime) == ("Orders", "python3.13")
    assert settings.environment == {"QUEUE": "fast"}
    bare = Project.load(write_settings(tmp_path))
    with refused("run", PipelineError):
        run_settings(bare, bare.function.facts(), {}, seen.reporter)
    unfit = replace(project.function.facts(), environment={"QUEUE": "a\0b"})
    with refused("run", PipelineError):
        run_settings(project, unfit, {}, seen.reporter)


@pytest.mark.parametrize(
    ("logging", "expected"),
    [
        ("{LogFormat: JSON}", ("JSON", "INFO", "INFO")),
        ("{LogFormat: JSON, ApplicationLogLevel: DEBUG}", ("JSON", "DEBUG", "INFO")),
        ("{LogFormat: Text, LogGroup: !Ref Logs}", ("Text", "", "INFO")),
    ],
)
def test_run_logs_as_the_stack_says(
    tmp_path: Path, logging: str, expected: tuple[str, str, str]
) -> None:
    """In JSON from the levels that are named there, or from Lambda's own."""
    project = Project.load(write_settings(tmp_path, SETTINGS + LOCAL))
    stack = f"Resources: {{F: {{Type: {FUNCTION}, Properties: {{LoggingConfig: {logging}}}}}}}\n"
    written(tmp_path, {"environment/stack.yaml": stack})
    made = run_settings(project, project.function.facts(), {}, Seen().reporter)
    assert (made.log_format, made.log_level, made.system_log_level) == expected


@pytest.mark.parametrize(
    ("function", "expected", "told"),
    [
        ("{MemorySize: !Ref Memory, Timeout: '40'}", (512, 40), ""),
        ("{MemorySize: {Ref: Memory}}", (512, 3), ""),
        ("{Timeout: !If [Slow, 900, 40]}", (128, 3), "computes its function's memory or time"),
        (None, (128, 3), "there is no environment/stack.yaml"),
    ],
)
def test_run_takes_memory_and_time_from_the_stack(
    tmp_path: Path, function: str | None, expected: tuple[int, int], told: str
) -> None:
    """They are the stack's numbers or its parameters' defaults; what else is taken is said."""
    project = Project.load(write_settings(tmp_path, SETTINGS + LOCAL))
    if function:
        stack = f"Parameters: {{Memory: {{Default: 512}}}}\nResources:\n  F: {{Type: {FUNCTION},"
        written(tmp_path, {"environment/stack.yaml": f"{stack} Properties: {function}}}\n"})
    seen = Seen()
    settings = run_settings(project, project.function.facts(), {}, seen.reporter)
    assert (settings.memory, settings.timeout) == expected
    assert [told in line for line in seen.lines()] == ([True] if told else [])


def test_a_broken_stack_is_named_with_its_line(tmp_path: Path) -> None:
    """What is not YAML ends a run, and the line is said."""
    project = Project.load(write_settings(tmp_path, SETTINGS + LOCAL))
    written(tmp_path, {"environment/stack.yaml": "Resources:\n  F: {\n"})
    with pytest.raises(PipelineError) as error:
        run_settings(project, project.function.facts(), {}, Seen().reporter)
    assert error.value.where == "environment/stack.yaml:3"


def test_run_refuses_an_event_that_is_no_json(app: FunctionCode) -> None:
    """The number of the bad event is named, and no process is left."""
    with refused("event 2", PipelineError):
        run_events(app, CONFIG, [b"{}", b"{"], Seen().reporter)
