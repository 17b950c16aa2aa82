from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError
from pipeline.local.background import Background, running, start, stop
from pipeline.local.state import LocalAws, read_state
from pipeline.runtime.function_code import LocalRuntime

from tests.local.local_support import alive, eventually, function_process
from tests.repositories import ROOT
from tests.words import refused


@pytest.fixture
def wanted(tmp_path: Path, runtimes: dict[str, LocalRuntime]) -> Background:
    """Return what a repository on a path with a space would start."""
    return Background(tmp_path / "a repository" / "state.json", runtimes, {})


def test_two_starts_at_once_make_one_server(wanted: Background, aws: LocalAws) -> None:
    """It stands beside another repository's; when it is killed, nothing takes it for running."""
    with ThreadPoolExecutor() as threads:
        first, again = threads.map(start, [wanted, wanted])
    assert first == again == start(wanted) == running(wanted.state)
    assert first.endpoint != aws.endpoint
    assert first.access_key != aws.access_key
    _check_that_only_its_owner_reads_its_key(wanted, first)
    function = function_process(first)
    os.kill(first.pid, signal.SIGKILL)
    os.waitpid(first.pid, 0)
    # The server that came second must not take the first one's place now.
    assert _servers(wanted) == []
    assert read_state(wanted.state) == first
    assert running(wanted.state) is None
    eventually(lambda: not alive(function))


# Starts one that ends with this process, says its id, and waits to be killed.
WITH_US = """\
import sys, time
from pathlib import Path
from pipeline.local.background import Background, start
print(start(Background(Path(sys.argv[1]), {}, {}, ends_with_us=True)).pid, flush=True)
time.sleep(600)
"""


def test_one_for_a_run_ends_with_it(tmp_path: Path) -> None:
    """However the run ends, even killed, its own embedded AWS ends too."""
    owner = subprocess.Popen(
        [sys.executable, "-c", WITH_US, str(tmp_path / "state.json")],
        env={**os.environ, "PYTHONPATH": str(ROOT / "template" / "scripts")},
        stdout=subprocess.PIPE,
    )
    assert owner.stdout
    server = int(owner.stdout.readline())
    assert alive(server)
    owner.kill()
    owner.communicate()
    eventually(lambda: not alive(server))
    assert not (tmp_path / "state.json").exists()


def _check_that_only_its_owner_reads_its_key(wanted: Background, aws: LocalAws) -> None:
    assert wanted.state.stat().st_mode & 0o777 == 0o600
    assert wanted.log.stat().st_mode & 0o777 == 0o600
    assert aws.access_key not in wanted.log.read_text(encoding="utf-8")
    assert aws.access_key.encode() not in Path(f"/proc/{aws.pid}/cmdline").read_bytes()
    assert aws.access_key not in repr(aws)


def _servers(wanted: Background) -> list[Path]:
    name = str(wanted.state).encode()
    return [path for path in Path("/proc").glob("[0-9]*/cmdline") if name in _bytes(path)]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_state_file_of_somebody_else_is_stale(aws: LocalAws, tmp_path: Path) -> None:
    """A reused port or process id does not pass for our server: it has to know the key."""
    state = tmp_path / "state.json"
    for wrong in (replace(aws, access_key="other"), replace(aws, pid=os.getpid())):
        state.write_text(json.dumps(asdict(wrong)), encoding="utf-8")
        assert running(state) is None
    for text in ("", "{}", "[]", '{"endpoint": 1}'):
        state.write_text(text, encoding="utf-8")
        assert running(state) is None
    assert not stop(state)
    assert not state.exists()


def test_a_start_that_fails_shows_the_servers_last_words(wanted: Background) -> None:
    """A Python without moto gives one error with the reason, and no state file."""
    wanted.state.parent.mkdir()
    nothing = wanted.state.with_name("python")
    nothing.write_text("#!/bin/sh\necho no module named moto >&2\nexit 1\n", encoding="utf-8")
    nothing.chmod(0o755)
    with refused("embedded AWS", PipelineError):
        start(replace(wanted, python=nothing))
    assert not wanted.state.exists()


def test_what_is_wanted_travels_on_the_command_line(tmp_path: Path) -> None:
    """What `command` writes, `read` reads again: all but the environment."""
    runtime = LocalRuntime(tmp_path / "a b" / "python", tmp_path / "ric", "3.12", (tmp_path / "x",))
    bare = LocalRuntime(tmp_path / "node", tmp_path / "ric", "22", language="node")
    runtimes = {"python3.13": runtime, "nodejs22.x": bare}
    wanted = Background(tmp_path / "s.json", runtimes, {"TOKEN": "secret"}, cache=tmp_path)
    for one in (wanted, replace(wanted, cache=None, ends_with_us=True)):
        assert Background.read(one.command()[-1]) == replace(one, environ={})
