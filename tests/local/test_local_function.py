from __future__ import annotations

import ast
import inspect
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pipeline.errors import PipelineError
from pipeline.local import client
from pipeline.local.code import FunctionCode, FunctionConfig, unpack_function
from pipeline.local.function import FunctionProcess
from pipeline.local.invocation import Invocation

from tests.local.local_support import APP, MINOR, alive, eventually, written, zipped

CONFIG = FunctionConfig("fn", timeout=5, runtime=f"python{MINOR}")


@pytest.fixture(scope="module", params=["awslambdaric", "own client"])
def code(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, python: Path, ric: Path
) -> FunctionCode:
    """Return the same function once for AWS's runtime client and once for our own."""
    folder = written(tmp_path_factory.mktemp("task"), {"app.py": APP, "pkg/inner.py": APP})
    chosen = ric if request.param == "awslambdaric" else None
    return FunctionCode(folder, "app.handle", python, chosen)


@pytest.fixture(scope="module")
def process(code: FunctionCode) -> Iterator[FunctionProcess]:
    """Return a warm process that the tests of this module share."""
    made = FunctionProcess(code, CONFIG)
    yield made
    made.close()


def invoke(process: FunctionProcess, **event: Any) -> Invocation:
    """Invoke with a JSON object."""
    return process.invoke(json.dumps(event).encode())


def answer(process: FunctionProcess, **event: Any) -> Any:
    """Invoke and return the decoded answer."""
    done = invoke(process, **event)
    assert done.error is None, done.log
    return json.loads(done.payload)


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=_json)
def test_any_json_value_comes_back_as_it_went(process: FunctionProcess, value: Any) -> None:
    """Whatever JSON document an event is, the handler gets it and its answer arrives unchanged."""
    event = {"value": value}
    assert json.loads(process.invoke(json.dumps(event).encode()).payload) == event


def test_invocations_share_one_process(process: FunctionProcess) -> None:
    """A second invocation finds the module loaded: it is warm, and only the first had an init."""
    first = invoke(process, do="started")
    second = invoke(process, do="started")
    assert json.loads(first.payload) == json.loads(second.payload)
    assert second.figures.init_seconds is None
    assert "INIT_START" not in second.log


def test_an_exception_is_unhandled_with_type_message_and_trace(process: FunctionProcess) -> None:
    """A raised exception becomes FunctionError Unhandled; payload and log hold where it was."""
    done = invoke(process, do="raise")
    document = json.loads(done.payload)
    assert (done.error, done.error_type) == ("Unhandled", "ValueError")
    assert document["errorMessage"] == "a bad value: \u00e9"
    assert document["requestId"] == done.request_id
    assert [part for part in document["stackTrace"] if "in inner" in part]
    assert "[ERROR] ValueError: a bad value: \u00e9\nTraceback" in done.readable_log()


def test_start_end_and_report_frame_the_log(process: FunctionProcess) -> None:
    """The log holds START, what the function wrote, END, and REPORT with duration and memory."""
    done = invoke(process, do="print", text="in between")
    lines = done.log.splitlines()
    assert lines[0] == f"START RequestId: {done.request_id} Version: $LATEST"
    assert "in between" in lines
    assert lines[-2] == f"END RequestId: {done.request_id}"
    assert lines[-1].startswith(f"REPORT RequestId: {done.request_id}\tDuration: ")
    assert "Memory Size: 128 MB" in lines[-1]
    assert 1 < (done.figures.max_memory or 2) < 500


def test_log_lines_carry_the_request_id(process: FunctionProcess) -> None:
    """Python's logging writes level, time and request id, as on Lambda."""
    done = invoke(process, do="log", text="logged text")
    line = next(line for line in done.log.splitlines() if "logged text" in line)
    assert line.startswith("[INFO]\t")
    assert done.request_id in line


def test_every_line_belongs_to_its_own_invocation(process: FunctionProcess) -> None:
    """Whatever is printed is in the log of that invocation and in no other."""
    for number in range(50):
        text = f"line {number} " + "x" * (number * 400)
        done = invoke(process, do="print", text=text)
        assert text in done.log.splitlines()
        assert done.log.count("line ") == 1


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        ("exit", "exit status 3"),
        ("quiet exit", "exited without providing a reason"),
        ("kill", "signal: killed"),
    ],
)
def test_the_end_of_the_process_is_an_exit_error(
    process: FunctionProcess, do: str, reason: str
) -> None:
    """A process that ends by itself is Runtime.ExitError with the reason; the next event heals."""
    done = invoke(process, do=do)
    assert (done.error, done.error_type) == ("Unhandled", "Runtime.ExitError")
    assert reason in json.loads(done.payload)["errorMessage"]
    assert "Status: error" in done.log
    assert answer(process, do="again") == {"do": "again"}


def test_the_deadline_ends_the_invocation(code: FunctionCode) -> None:
    """At the deadline the process is killed, what it printed is kept, and the next event heals."""
    process = FunctionProcess(code, replace(CONFIG, timeout=0.3))
    began = time.monotonic()
    done = invoke(process, do="sleep")
    assert time.monotonic() - began < 3
    assert (done.error, done.error_type) == ("Unhandled", "Sandbox.Timedout")
    assert "Task timed out after 0.30 seconds" in json.loads(done.payload)["errorMessage"]
    assert "before sleep" in done.log
    assert "Task timed out after 0.30 seconds" in done.log
    assert answer(process, do="again") == {"do": "again"}
    process.close()


def test_an_answer_that_is_no_json_is_a_marshal_error(process: FunctionProcess) -> None:
    """What cannot be serialised is reported as Runtime.MarshalError, naming the type."""
    done = invoke(process, do="unserialisable")
    assert (done.error, done.error_type) == ("Unhandled", "Runtime.MarshalError")
    assert "set" in json.loads(done.payload)["errorMessage"]


def test_an_answer_over_six_megabytes_is_refused(process: FunctionProcess) -> None:
    """6,291,556 bytes of answer pass and one more does not; the next event finds all well."""
    limit = 6_291_556
    assert len(invoke(process, do="large", size=limit - 2).payload) == limit
    done = invoke(process, do="large", size=limit - 1)
    assert (done.error, done.error_type) == ("Unhandled", "Function.ResponseSizeTooLarge")
    assert str(limit) in json.loads(done.payload)["errorMessage"]
    assert answer(process, do="again") == {"do": "again"}


@pytest.mark.parametrize(
    ("handler", "kind", "words"),
    [
        ("missing.handle", "Runtime.ImportModuleError", "Unable to import module 'missing'"),
        ("app.missing", "Runtime.HandlerNotFound", "Handler 'missing' missing on module 'app'"),
        ("wrong.handle", "Runtime.UserCodeSyntaxError", "Syntax error in module 'wrong'"),
        ("needs.handle", "Runtime.ImportModuleError", "No module named 'not_packed'"),
        ("leaves.handle", "Runtime.ExitError", "exit status 7"),
        ("raises.handle", "KeyError", "at import"),
    ],
)
def test_a_handler_that_cannot_be_loaded_says_why(
    code: FunctionCode, tmp_path: Path, handler: str, kind: str, words: str
) -> None:
    """Missing module, handler or dependency, a syntax error, an exit: each as Lambda reports it."""
    files = {
        "app.py": APP,
        "wrong.py": "def handle(:\n",
        "needs.py": "import not_packed\n",
        "leaves.py": "import os\nos._exit(7)\n",
        "raises.py": "raise KeyError('at import')\n",
    }
    process = FunctionProcess(replace(code, folder=written(tmp_path, files), handler=handler), CONFIG)
    done = process.invoke(b"{}")
    process.close()
    assert (done.error, done.error_type) == ("Unhandled", kind)
    assert words in json.loads(done.payload)["errorMessage"]
    assert f"Error Type: {kind}" in done.log


@pytest.mark.parametrize("handler", ["pkg.inner.handle", "pkg/inner.handle"])
def test_a_handler_in_a_package_is_found_in_both_spellings(
    code: FunctionCode, handler: str
) -> None:
    """Dots and slashes both lead into a package."""
    process = FunctionProcess(replace(code, handler=handler), CONFIG)
    assert answer(process, do="x") == {"do": "x"}
    process.close()


def test_the_environment_is_the_documented_one_and_nothing_else(code: FunctionCode) -> None:
    """The function sees Lambda's variables and its own, in UTC, and none of this machine's."""
    config = replace(
        CONFIG, environment={"MINE": "1", "AWS_REGION": "mars", "TZ": "Europe/Berlin"}, memory=256
    )
    process = FunctionProcess(code, config)
    seen = answer(process, do="environment")
    process.close()
    assert seen["MINE"] == "1"
    assert seen["TZ"] == "Europe/Berlin"
    assert seen["AWS_REGION"] == "us-east-1"
    assert seen["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert seen["_HANDLER"] == "app.handle"
    assert seen["AWS_LAMBDA_LOG_GROUP_NAME"] == "/aws/lambda/fn"
    assert seen["AWS_EXECUTION_ENV"] == f"AWS_Lambda_python{MINOR}"
    assert seen["AWS_ACCESS_KEY_ID"] == "local"
    host = set(os.environ) - {"PATH", "LANG", "TZ", "HOME", "TMPDIR", "LC_CTYPE"}
    assert not {name for name in seen if name in host and not name.startswith("AWS_")}
    assert seen["HOME"] == seen["TMPDIR"] != os.environ["HOME"]


def test_the_path_holds_the_package_first_and_nothing_of_the_host(
    code: FunctionCode, python: Path, tmp_path: Path
) -> None:
    """The zip comes first, stand-ins and runtime client last, no site-packages in between."""
    extra = written(tmp_path / "extra", {"stand_in.py": "", "json/__init__.py": "raise ValueError"})
    process = FunctionProcess(replace(code, extra_paths=(extra,)), CONFIG)
    path = answer(process, do="path")
    assert path[0] == str(code.folder)
    last = [str(extra)] + ([str(code.ric)] if code.ric else [])
    assert path[-len(last) :] == last
    assert not [part for part in path if "site-packages" in part]
    assert answer(process, do="import", name="stand_in") == str(extra / "stand_in.py")
    assert invoke(process, do="import", name="pytest").error_type == "ModuleNotFoundError"
    process.close()


def test_time_left_and_context_are_those_of_the_invocation(code: FunctionCode) -> None:
    """The context knows request id, ARN, version, and how much time is left."""
    process = FunctionProcess(code, replace(CONFIG, version="7", arn="arn:of:fn:7", timeout=30))
    assert 25_000 < answer(process, do="left") <= 30_000
    done = process.invoke(b'{"do":"context"}', request_id="the-request")
    assert json.loads(done.payload) == ["the-request", "arn:of:fn:7", "7"]
    process.close()


def test_close_ends_what_the_function_started(code: FunctionCode) -> None:
    """Closing kills the whole process group, leaves no zombie and no temporary folder."""
    process = FunctionProcess(code, CONFIG)
    child = answer(process, do="child")
    scratch = Path(answer(process, do="environment")["TMPDIR"])
    own = process.pid
    assert answer(process, do="write") == 4
    assert scratch.is_dir()
    assert own is not None
    process.close()
    assert not Path(f"/proc/{own}").exists()
    eventually(lambda: not alive(child))
    assert not scratch.exists()


def test_a_crash_between_invocations_goes_unnoticed(code: FunctionCode) -> None:
    """A process that died while it was idle is replaced before the next event reaches it."""
    process = FunctionProcess(code, CONFIG)
    first = answer(process, do="started")
    os.kill(first[1], 9)
    eventually(lambda: not alive(first[1]))
    second = answer(process, do="started")
    assert second != first
    process.close()


def test_initialisation_over_its_limit_is_repeated_within_the_invocation(
    code: FunctionCode, tmp_path: Path
) -> None:
    """A module that takes longer than init's limit gets the function's own time, as on Lambda."""
    slow = "import time\ntime.sleep(0.6)\ndef handle(event, context):\n    return 'slow'\n"
    folder = written(tmp_path, {"app.py": slow})
    config = replace(CONFIG, init_timeout=0.3, timeout=4)
    process = FunctionProcess(replace(code, folder=folder), config)
    done = process.invoke(b"{}")
    process.close()
    assert done.payload == b'"slow"'
    assert "INIT_REPORT" in done.log
    short = FunctionProcess(replace(code, folder=folder), replace(config, timeout=0.3))
    assert short.invoke(b"{}").error_type == "Sandbox.Timedout"
    short.close()


def test_a_python_that_is_not_there_is_a_known_error(code: FunctionCode, tmp_path: Path) -> None:
    """An interpreter that cannot be started is named, with what to look at."""
    process = FunctionProcess(replace(code, runtime_python=tmp_path / "no-python"), CONFIG)
    with pytest.raises(PipelineError, match="no-python cannot be started"):
        process.invoke(b"{}")
    process.close()


def test_two_processes_run_at_once(code: FunctionCode) -> None:
    """Processes do not wait for each other, nor share anything but the code."""
    one, two = FunctionProcess(code, CONFIG), FunctionProcess(code, CONFIG)
    assert answer(one, do="started")[1] != answer(two, do="started")[1]
    one.close()
    two.close()


def test_unpacked_code_keeps_its_modes_and_is_read_only(tmp_path: Path) -> None:
    """Executables stay executable; files and folders lose their write bits, as in /var/task."""
    unpack_function(zipped({"bin/tool": "#!/bin/sh\n", "app.py": APP}, mode=0o755), tmp_path / "task")
    unpack_function(zipped({"app.py": APP}), tmp_path / "plain")
    modes = {p.name: p.stat().st_mode & 0o777 for p in (tmp_path / "task").rglob("*")}
    assert modes == {"bin": 0o555, "tool": 0o555, "app.py": 0o555}
    assert (tmp_path / "plain" / "app.py").stat().st_mode & 0o777 == 0o444


def test_the_own_client_imports_the_standard_library_only() -> None:
    """The fallback client runs inside function processes, where nothing of ours is to be seen."""
    source = inspect.getsource(client)
    nodes = list(ast.walk(ast.parse(source)))
    names = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    names |= {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names
