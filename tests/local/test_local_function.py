from __future__ import annotations

import json
import os
import re
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pipeline.core.errors import PipelineError
from pipeline.runtime.function_code import FunctionCode
from pipeline.runtime.function_process import FunctionProcess

from tests.local.local_support import (
    APP,
    CONFIG,
    answer,
    invoke,
    written,
)

_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=_json)
def test_any_json_value_comes_back_as_it_went(process: FunctionProcess, value: Any) -> None:
    """Whatever JSON document an event is, the handler gets it and its answer arrives unchanged."""
    event = {"value": value}
    assert json.loads(process.invoke(json.dumps(event).encode()).payload) == event


@pytest.mark.parametrize("variables", [{"A": "x\0y"}, {"A\0": "x"}, {"A=B": "x"}])
def test_a_variable_that_no_process_takes_is_named(
    code: FunctionCode, variables: dict[str, str]
) -> None:
    """A package of anybody's, a stack, or an Octopus variable may hold one."""
    process = FunctionProcess(code, replace(CONFIG, environment=variables))
    with pytest.raises(PipelineError, match=re.escape(repr(next(iter(variables))))):
        process.invoke(b"{}")
    process.close()


def test_a_breakpoint_stops_at_the_terminal(code: FunctionCode, tmp_path: Path) -> None:
    """A person looks around for longer than the function may take; its prints stay its log.

    The first stop is in the initialisation, which has ten seconds to come to it. From then on no
    limit counts, so that the function's own may be one that has passed before it begins.
    """
    person, terminal = os.openpty()
    source = (
        "breakpoint()\ndef handle(event, context):\n    found = event\n    breakpoint()\n"
        "    print('after')\n    return found\n"
    )
    process = FunctionProcess(
        replace(code, folder=written(tmp_path, {"app.py": source})),
        replace(CONFIG, timeout=0.0),
        terminal=os.ttyname(terminal),
    )
    said = bytearray()

    def look_around() -> None:
        for prompts, typed in enumerate(("c\n", "p 'seen', found\n", "c\n")):
            while said.count(b"(Pdb) ") <= prompts:
                said.extend(os.read(person, 1000))
            os.write(person, typed.encode())

    debugging = threading.Thread(target=look_around, daemon=True)
    debugging.start()
    done = process.invoke(b'"here"')
    debugging.join(10)
    process.close()
    for file in (person, terminal):
        os.close(file)
    assert (done.error, done.payload) == (None, b'"here"'), done.log
    assert b"('seen', 'here')" in said
    assert "\nafter\n" in done.log
    assert "Pdb" not in done.log


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


def test_a_recursion_without_end_is_the_error_it_is(process: FunctionProcess) -> None:
    """A trace of a thousand frames, which the client sends as one header too, is taken whole."""
    done = invoke(process, do="recurse")
    assert (done.error, done.error_type) == ("Unhandled", "RecursionError")
    assert "Previous line repeated" in json.loads(done.payload)["stackTrace"][-1]


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
    process = FunctionProcess(code, replace(CONFIG, timeout=1))
    done = invoke(process, do="sleep")
    assert (done.error, done.error_type) == ("Unhandled", "Sandbox.Timedout")
    assert "Task timed out after 1.00 seconds" in json.loads(done.payload)["errorMessage"]
    assert "before sleep" in done.log
    assert "Task timed out after 1.00 seconds" in done.log
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
    process = FunctionProcess(
        replace(code, folder=written(tmp_path, files), handler=handler), CONFIG
    )
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
