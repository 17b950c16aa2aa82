from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from pipeline.core.errors import PipelineError
from pipeline.runtime.function_code import FunctionCode, unpack_function
from pipeline.runtime.function_process import FunctionProcess

from tests.local.local_support import (
    APP,
    CONFIG,
    MINOR,
    alive,
    answer,
    eventually,
    invoke,
    written,
    zipped,
)
from tests.tools import tool
from tests.words import refused


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
    code: FunctionCode, tmp_path: Path
) -> None:
    """The zip comes first, stand-ins and runtime client last, no site-packages in between."""
    extra = written(tmp_path / "extra", {"stand_in.py": "", "json/__init__.py": "raise ValueError"})
    runtime = replace(code.runtime, extra_paths=(extra,))
    process = FunctionProcess(replace(code, runtime=runtime), CONFIG)
    path = answer(process, do="path")
    assert path[0] == str(code.folder)
    assert path[-2:] == [str(extra), str(code.runtime.ric)]
    assert not [part for part in path if "site-packages" in part]
    assert answer(process, do="import", name="stand_in") == str(extra / "stand_in.py")
    assert invoke(process, do="import", name="pytest").error_type == "ModuleNotFoundError"
    process.close()


def test_time_left_and_context_are_those_of_the_invocation(code: FunctionCode) -> None:
    """The context knows request id, ARN, version, and how much time is left."""
    process = FunctionProcess(code, replace(CONFIG, version="7", timeout=30))
    assert 25_000 < answer(process, do="left") <= 30_000
    for arn in ("arn:of:fn:7", "arn:of:fn:live"):
        done = process.invoke(b'{"do":"context"}', request_id="the-request", invoked_arn=arn)
        assert json.loads(done.payload) == ["the-request", arn, "7"]
    process.close()


def test_close_ends_what_the_function_started(code: FunctionCode) -> None:
    """Closing kills the whole process group, leaves no zombie and no temporary folder."""
    process = FunctionProcess(code, CONFIG)
    child = answer(process, do="child")
    scratch = Path(answer(process, do="environment")["TMPDIR"])
    own = answer(process, do="started")[1]
    assert answer(process, do="write") == 4
    assert scratch.is_dir()
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
    slow = "import time\ntime.sleep(0.2)\ndef handle(event, context):\n    return 'slow'\n"
    folder = written(tmp_path, {"app.py": slow})
    config = replace(CONFIG, init_timeout=0.1, timeout=60)
    process = FunctionProcess(replace(code, folder=folder), config)
    done = process.invoke(b"{}")
    process.close()
    assert done.payload == b'"slow"'
    assert "INIT_REPORT" in done.log
    short = FunctionProcess(replace(code, folder=folder), replace(config, timeout=0.1))
    assert short.invoke(b"{}").error_type == "Sandbox.Timedout"
    short.close()


def test_a_python_that_is_not_there_is_a_known_error(code: FunctionCode, tmp_path: Path) -> None:
    """An interpreter that cannot be started is named, with what to look at."""
    runtime = replace(code.runtime, program=tmp_path / "no-python")
    process = FunctionProcess(replace(code, runtime=runtime), CONFIG)
    with refused("function fn", PipelineError):
        process.invoke(b"{}")
    process.close()


def test_two_processes_run_at_once(code: FunctionCode) -> None:
    """Processes do not wait for each other, nor share anything but the code."""
    one, two = FunctionProcess(code, CONFIG), FunctionProcess(code, CONFIG)
    assert answer(one, do="started")[1] != answer(two, do="started")[1]
    one.close()
    two.close()


def test_what_a_function_has_is_its_users_alone(code: FunctionCode) -> None:
    """The secret of the Runtime API and the folder in place of /tmp are closed to other users."""
    process = FunctionProcess(code, CONFIG)
    seen, (_, pid) = answer(process, do="environment"), answer(process, do="started")
    host, _, secret = seen["AWS_LAMBDA_RUNTIME_API"].partition("/")
    started_as = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
    assert (len(secret), secret in started_as) == (43, False)
    assert Path(seen["TMPDIR"]).stat().st_mode & 0o777 == 0o700
    # Really somebody else, where these tests may be that.
    is_other = os.geteuid() == 0
    address = f"http://{host}/2018-06-01/runtime/invocation/next"
    codes = []
    for command in (
        ["cat", f"/proc/{pid}/environ"],
        ["ls", seen["TMPDIR"]],
        [tool("curl"), "--silent", "--fail", "--max-time", "10", address],
    ):
        user = "nobody" if is_other else None
        codes.append(
            subprocess.run(command, capture_output=True, check=False, user=user).returncode
        )
    # The last is an answer of 400 and more.
    assert [code != 0 for code in codes] == [is_other, is_other, True]
    assert codes[2] == 22
    process.close()


def test_unpacked_code_keeps_its_modes_and_is_read_only(tmp_path: Path) -> None:
    """Executables stay executable; files and folders lose their write bits, as in /var/task."""
    unpack_function(
        zipped({"bin/tool": "#!/bin/sh\n", "app.py": APP}, mode=0o755), tmp_path / "task"
    )
    unpack_function(zipped({"app.py": APP}), tmp_path / "plain")
    modes = {p.name: p.stat().st_mode & 0o777 for p in (tmp_path / "task").rglob("*")}
    assert modes == {"bin": 0o555, "tool": 0o555, "app.py": 0o555}
    assert (tmp_path / "plain" / "app.py").stat().st_mode & 0o777 == 0o444


def test_the_client_without_a_wheel_is_all_python(ric: Path, ric_without_wheel: Path) -> None:
    """It is AWS's own Python files, and one more that imports the standard library only."""
    files = {path.relative_to(ric) for path in ric.rglob("*.py")}
    others = {path.relative_to(ric_without_wheel) for path in ric_without_wheel.rglob("*.py")}
    assert others == {*files, Path("runtime_client.py")}
    assert list(ric.glob("runtime_client.*.so"))
    assert not list(ric_without_wheel.rglob("*.so"))
    source = (ric_without_wheel / "runtime_client.py").read_text(encoding="utf-8")
    nodes = list(ast.walk(ast.parse(source)))
    names = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    names |= {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names
