"""A function in Node as a warm process: AWS's runtime client over our part of it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pipeline.core.events import Reporter
from pipeline.edge.machine import Machine
from pipeline.edge.nodes import find_node
from pipeline.function.handler import FunctionFiles
from pipeline.function.node.handler_check import load_handler
from pipeline.function.node.interpreter import local_runtime
from pipeline.project.project import Function, Project
from pipeline.project.runtimes import RUNTIMES, Runtime
from pipeline.runtime.function_code import FunctionCode, FunctionConfig, LocalRuntime
from pipeline.runtime.function_process import FunctionProcess
from pipeline.runtime.invocation import Invocation
from pipeline.runtime.pool import Pool, Target

from tests.local.local_support import written, zipped
from tests.project.values_support import SETTINGS, write_settings
from tests.tools import lacking, tool

# One function that does what its event says.
_APP = """
let count = 0;
export const handler = async (event, context) => {
  count += 1;
  switch (event.do) {
    case "raise": throw new RangeError("a bad value: \\u00e9");
    case "count": return count;
    case "exit": process.exit(3);
    case "uncaught": setTimeout(() => { throw new TypeError("nobody waits"); }, 1);
    // falls through
    case "never": return new Promise(() => {});
    case "slow": await new Promise((resolve) => setTimeout(resolve, 60_000)); return "slow";
    case "large": return "x".repeat(6_300_000);
    case "environment": return process.env;
    case "argv": return [process.execArgv, process.cwd(), import.meta.url];
    case "context": return [
      context.clientContext, context.getRemainingTimeInMillis(), context.invokedFunctionArn,
    ];
    case "import": return Object.keys(await import(event.name)).length;
    case "log": console.log("a line"); console.error({ an: "object" }); return null;
    default: return event;
  }
};
export const streaming = awslambda.streamifyResponse(async (event, stream) => {
  stream.write("one ");
  stream.write("two");
  stream.end();
});
"""
# A debugger: it stops where `count` is returned, tells what the event is there, and goes on later.
_DEBUGGER = """
const [port, line] = process.argv.slice(1);
let target;
for (let tried = 0; !target && tried < 100; tried += 1) {
  await new Promise((resolve) => setTimeout(resolve, 100));
  const list = await fetch(`http://127.0.0.1:${port}/json/list`).catch(() => null);
  target = (await list?.json())?.[0];
}
const socket = new WebSocket(target.webSocketDebuggerUrl);
await new Promise((resolve) => (socket.onopen = resolve));
const waiting = [];
const ask = (method, params) => new Promise((resolve) => {
  socket.send(JSON.stringify({ id: waiting.push(resolve), method, params }));
});
socket.onmessage = async ({ data }) => {
  const { id, result, method, params } = JSON.parse(data);
  if (id) return waiting[id - 1](result);
  if (method !== "Debugger.paused") return;
  const [{ callFrameId }] = params.callFrames;
  const expression = "JSON.stringify(event)";
  const found = await ask("Debugger.evaluateOnCallFrame", { callFrameId, expression });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  console.log(found.result.value);
  await ask("Debugger.resume");
  socket.close();
};
await ask("Debugger.enable");
const place = { urlRegex: ".*/task/index.mjs", lineNumber: Number(line) };
await ask("Debugger.setBreakpointByUrl", place);
await ask("Runtime.runIfWaitingForDebugger");
"""
_CONFIG = FunctionConfig("fn", timeout=20, runtime="nodejs")


def _function(runtime: Runtime) -> Function:
    return Function("fn", runtime, "x86_64", "index.handler", "", {}, {})


@pytest.fixture(scope="session")
def runtime() -> Runtime:
    """Return the first Lambda runtime whose Node is on this machine."""
    tool("npm")  # which fetches AWS's client
    known = [runtime for runtime in RUNTIMES if runtime.language == "node"]
    found = [one for one in known if find_node(one.version, os.environ)]
    return found[0] if found else lacking("no Node of Lambda's is on this machine: 20, 22 or 24")


@pytest.fixture(scope="session")
def node(machine: Machine, runtime: Runtime) -> LocalRuntime:
    """Return what stands for it."""
    return local_runtime(_function(runtime), machine, Reporter(lambda _: None, lambda: 0.0))


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory, node: LocalRuntime) -> FunctionCode:
    """Return the function; beside its folder is a package that Lambda would not have."""
    place = tmp_path_factory.mktemp("repository")
    written(place, {"node_modules/beside/package.json": "{}", "node_modules/beside/index.js": ""})
    return FunctionCode(written(place / "task", {"index.mjs": _APP}), "index.handler", node)


@pytest.fixture(scope="module")
def process(code: FunctionCode) -> Iterator[FunctionProcess]:
    """Return a warm process that these tests share."""
    made = FunctionProcess(code, _CONFIG)
    yield made
    made.close()


def _invoke(process: FunctionProcess, **event: Any) -> Invocation:
    return process.invoke(json.dumps(event).encode())


def _answer(process: FunctionProcess, **event: Any) -> Any:
    done = _invoke(process, **event)
    assert done.error is None, done.log
    return json.loads(done.payload)


def test_it_answers_and_stays_warm(process: FunctionProcess) -> None:
    """One process serves one event after another, whatever characters are in them."""
    first = _answer(process, do="count")
    assert _answer(process, hello="w\u00f6rld \U0001f6d2") == {"hello": "w\u00f6rld \U0001f6d2"}
    assert _answer(process, do="count") == first + 2


def test_an_error_has_its_type_and_its_place_on_lambda(process: FunctionProcess) -> None:
    """What is thrown is answered as Lambda answers it; the log names files as there."""
    done = _invoke(process, do="raise")
    document = json.loads(done.payload)
    assert (done.error, done.error_type) == ("Unhandled", "RangeError")
    assert document["errorMessage"] == "a bad value: \u00e9"
    assert "file:///var/task/index.mjs:" in done.log
    assert _answer(process, do="count")


@pytest.mark.parametrize(
    ("event", "kind", "said"),
    [
        ("exit", "Runtime.ExitError", "exit status 3"),
        ("uncaught", "", "nobody waits"),
        ("large", "Function.ResponseSizeTooLarge", ""),
    ],
)
def test_what_ends_a_process_is_told(
    process: FunctionProcess, event: str, kind: str, said: str
) -> None:
    """An exit, an error that nobody waits for, too large an answer; the next event is served."""
    done = _invoke(process, do=event)
    assert done.error == "Unhandled"
    assert kind in done.error_type
    assert said in done.log
    assert _answer(process, do="count") >= 1


def test_a_promise_that_never_settles(process: FunctionProcess, runtime: Runtime) -> None:
    """Up to Node 22 the answer is null, from 24 on the process ends, as on Lambda."""
    done = _invoke(process, do="never")
    if int(runtime.version) < 24:
        assert (done.error, done.payload) == (None, b"null")
    else:
        assert done.error_type == "Runtime.ExitError"


def test_a_missed_deadline_is_lambdas(code: FunctionCode) -> None:
    """The function is ended in time, and says so in Lambda's words."""
    process = FunctionProcess(code, replace(_CONFIG, timeout=1))
    done = _invoke(process, do="slow")
    process.close()
    assert done.error_type == "Sandbox.Timedout"
    assert "Task timed out after 1.00 seconds" in done.log


def test_a_debugger_stops_it(code: FunctionCode) -> None:
    """The function waits for one, stops where that says, and no time limit counts."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    line = _APP.splitlines().index('    case "count": return count;')
    words: list[str | Path] = [code.runtime.program, "--experimental-websocket"]
    words += ["--input-type=module", "--eval", _DEBUGGER, "--", str(port), str(line)]
    debugger = subprocess.Popen(words, stdout=subprocess.PIPE, encoding="utf-8")
    process = FunctionProcess(code, replace(_CONFIG, timeout=1), terminal=f"127.0.0.1:{port}")
    try:
        assert _answer(process, do="count", more="\u00e9") == 1
        assert json.loads(debugger.communicate(timeout=60)[0]) == {"do": "count", "more": "\u00e9"}
    finally:
        debugger.kill()
        process.close()


def test_streaming(code: FunctionCode) -> None:
    """A handler that streams gives all that it wrote."""
    process = FunctionProcess(replace(code, handler="index.streaming"), _CONFIG)
    done = process.invoke(b"{}")
    process.close()
    assert (done.error, done.payload) == (None, b"one two")


def test_the_flags_and_the_surroundings_are_lambdas(process: FunctionProcess) -> None:
    """Neither this machine's variables nor packages above the code are seen; flags are Lambda's."""
    flags, folder, url = _answer(process, do="argv")
    assert "--no-experimental-require-module" in flags
    assert "--no-experimental-detect-module" in flags
    assert "--max-old-space-size=115" in flags
    assert url.startswith("file:///")
    assert Path(folder).is_dir()
    seen = _answer(process, do="environment")
    assert seen["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert re.fullmatch(r"127\.0\.0\.1:\d+", seen["AWS_LAMBDA_RUNTIME_API"])
    host = set(os.environ) - {"PATH", "LANG", "TZ", "HOME", "TMPDIR", "LC_CTYPE"}
    assert not {name for name in seen if name in host and not name.startswith("AWS_")}
    done = _invoke(process, do="import", name="beside")
    assert "Cannot find package 'beside'" in json.loads(done.payload)["errorMessage"]


def test_what_the_runtime_brings_is_found(code: FunctionCode, tmp_path: Path) -> None:
    """Its packages are found by `import`, though they lie nowhere above the code."""
    brought = written(
        tmp_path / "node_modules",
        {
            "sdk/package.json": '{"type": "module", "exports": "./a.js"}',
            "sdk/a.js": "export const a = 1;",
        },
    )
    runtime = replace(code.runtime, extra_paths=(brought,))
    process = FunctionProcess(replace(code, runtime=runtime), _CONFIG)
    assert _answer(process, do="import", name="sdk") == 1
    process.close()


def test_logs_as_text_and_as_json(code: FunctionCode, process: FunctionProcess) -> None:
    """AWS's client writes a function's lines; with the format JSON each is a document."""
    done = _invoke(process, do="log")
    assert re.search(r"\tINFO\ta line\n", done.log)
    structured = FunctionProcess(code, replace(_CONFIG, log_format="JSON"))
    lines = _invoke(structured, do="log").log.splitlines()
    structured.close()
    documents = [json.loads(line) for line in lines]
    assert "a line" in [document.get("message") for document in documents]


def test_the_context(process: FunctionProcess) -> None:
    """The context has what the caller gave, and the time that is left."""
    context = json.dumps({"custom": {"from": "a test"}})
    done = process.invoke(b'{"do":"context"}', client_context=context, invoked_arn="arn:x")
    given, left, arn = json.loads(done.payload)
    assert given["custom"] == {"from": "a test"}
    assert arn == "arn:x"
    assert 0 < left <= 20_000


@pytest.mark.parametrize(
    ("files", "handler", "kind"),
    [
        ({"index.mjs": "export const other = 1;"}, "index.handler", "Runtime.HandlerNotFound"),
        ({"index.mjs": "this is no JavaScript"}, "index.handler", "Runtime.UserCodeSyntaxError"),
        ({"index.mjs": "import 'nowhere';"}, "index.handler", "Error"),
        ({"index.js": "export const handler = 1;"}, "index.handler", "UserCodeSyntaxError"),
        ({"index.mjs": ""}, "../index.handler", "Runtime.MalformedHandlerName"),
    ],
)
def test_a_handler_that_cannot_be_loaded(
    tmp_path: Path, node: LocalRuntime, files: dict[str, str], handler: str, kind: str
) -> None:
    """What AWS's client says at the start is the answer; an untyped `.js` has no `export`."""
    process = FunctionProcess(FunctionCode(written(tmp_path, files), handler, node), _CONFIG)
    done = process.invoke(b"{}")
    process.close()
    assert done.error == "Unhandled"
    assert kind in done.error_type


def test_nested_names_and_commonjs(tmp_path: Path, node: LocalRuntime) -> None:
    """A handler may be in an object of a module in a folder, in the older format too."""
    files = {"a/b.cjs": "exports.one = { two: async () => 'found' };"}
    code = FunctionCode(written(tmp_path, files), "a/b.one.two", node)
    process = FunctionProcess(code, _CONFIG)
    assert _answer(process) == "found"
    process.close()


def test_the_pool_runs_it_and_refuses_another_language(
    tmp_path: Path, node: LocalRuntime, runtime: Runtime
) -> None:
    """The embedded AWS's processes are by language: no Node stands for a Python."""
    pool = Pool(tmp_path, {runtime.name: node})
    code = zipped({"index.mjs": "export const handler = async () => 'here';"})
    sha256 = base64.b64encode(hashlib.sha256(code).digest()).decode()
    config = replace(_CONFIG, runtime=runtime.name)
    target = Target(config, "index.handler", sha256, code)
    assert pool.invoke(target, b"{}", request_id="1").payload == b'"here"'
    other = replace(target, config=replace(config, runtime="python3.13"))
    assert pool.invoke(other, b"{}", request_id="2").error_type == "Runtime.NotAvailable"
    pool.close()


_HANDLER = "export const handler = async () => 1;\n"


@pytest.mark.parametrize(
    ("source", "found", "reason", "note"),
    [
        (_HANDLER, "handler imported in", "", ""),
        ("export const other = 1;", "", "HandlerNotFound: index.handler is undefined", ""),
        ("this is no JavaScript", "", "UserCodeSyntaxError: SyntaxError", ""),
        ('import "nowhere";' + _HANDLER, "", "Cannot find package 'nowhere'", ""),
        (
            _HANDLER + "throw new Error(`no ${process.env.QUEUE}`);",
            "handler found, not imported",
            "",
            "index.mjs:2: Error: no fast",
        ),
        (_HANDLER + "process.exit(4);", "handler found, not imported", "", "exit code 4"),
        (
            _HANDLER + 'import net from "node:net";'
            "await new Promise((_, no) => net.connect(1, '127.0.0.1').on('error', no));",
            "handler found, not imported",
            "",
            "ECONNREFUSED",
        ),
    ],
)
def test_a_build_loads_the_handler(
    tmp_path: Path,
    machine: Machine,
    node: LocalRuntime,
    runtime: Runtime,
    source: str,
    found: str,
    reason: str,
    note: str,
) -> None:
    """What is wrong inside the package is refused, with its line; the world is only warned of."""
    text = SETTINGS.replace('"python3.13"', f'"{runtime.name}"')
    text = text.replace("orders.handler.handle", "index.handler")
    text += '\n[tool.pipeline.environments.local.variables]\n"Orders.Queue" = "fast"\n'
    project = Project.load(write_settings(tmp_path, text))
    zipped_function = tmp_path / "function.zip"
    zipped_function.write_bytes(zipped({"index.mjs": source}))
    files = FunctionFiles(zipped_function, ["index.mjs"], ["index.mjs"], {})
    here = replace(machine, root=tmp_path, cache_folder=lambda: tmp_path / "cache")
    done = load_handler(project, files, here, node)
    assert (bool(done.found), bool(done.reason), bool(done.note)) == (
        bool(found),
        bool(reason),
        bool(note),
    ), done
    assert found in done.found
    assert reason in done.reason
    assert note in done.note
    assert "/var/task" not in done.reason + done.note
