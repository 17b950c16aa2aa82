"""Starting, finding and stopping the embedded AWS in the background."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from ..core.errors import PipelineError
from ..edge.shell import NOTHING_REAL, scrubbed
from ..runtime.function_code import LocalRuntime
from .state import LocalAws, read_state

_WHERE = "embedded AWS"
_SCRIPTS = Path(__file__).resolve().parents[2]
_READY_SECONDS = 60.0
_STOP_SECONDS = 10.0
_PAUSE = 0.02
_LAST_LINES = 15
# Long enough that nobody can do without waiting, and that nobody notices.
_SETTLE = 0.1


@dataclass(frozen=True)
class Background:
    """How to start one: `python` has moto installed, `environ` is this process's environment.

    `cache` is where the runtimes come from: the server holds it. With `ends_with_us` it ends
    when this process does, whatever ends that. A change of a function takes `settle` seconds.
    """

    state: Path
    runtimes: Mapping[str, LocalRuntime]
    environ: Mapping[str, str]
    region: str = "us-east-1"
    python: Path = field(default_factory=lambda: Path(sys.executable))
    cache: Path | None = None
    ends_with_us: bool = False
    settle: float = _SETTLE

    @property
    def log(self) -> Path:
        """Where the server writes what it has to say."""
        return self.state.with_name("server.log")

    @property
    def work(self) -> Path:
        """The folder of the server's functions, unzipped."""
        return self.state.with_name("work")

    def command(self) -> list[str]:
        """Return the server's command line, which `read` reads; it holds no secret."""
        told = json.dumps(asdict(replace(self, environ={})), default=str)
        return [str(self.python), "-m", "pipeline.local.server", told]

    @classmethod
    def read(cls, told: str) -> Background:
        """Return what `command` told a server."""
        given = json.loads(told)
        for key in ("state", "python", "cache"):
            given[key] = given[key] and Path(given[key])
        runtimes = {
            name: LocalRuntime(
                Path(one["program"]),
                Path(one["ric"]),
                one["version"],
                tuple(map(Path, one["extra_paths"])),
                one["language"],
            )
            for name, one in given["runtimes"].items()
        }
        return cls(**{**given, "runtimes": runtimes})


def running(state: Path) -> LocalAws | None:
    """Return the embedded AWS of this state file if it answers; a stale file counts as none."""
    aws = read_state(state)
    return aws if aws is not None and _ask(aws, "alive") == aws.pid else None


def start(wanted: Background) -> LocalAws:
    """Start an embedded AWS, or return the one that runs.

    Two starts at once are safe: one server gets the lock, both callers get that server.
    Raises PipelineError with the server's last lines when it does not come up.
    """
    found = running(wanted.state)
    if found is not None:
        return found
    wanted.state.parent.mkdir(parents=True, exist_ok=True)
    env = scrubbed(wanted.environ, {"PYTHONPATH": str(_SCRIPTS), **NOTHING_REAL})
    # The other end of the pipe stays open for as long as this process lives.
    stdin = os.pipe()[0] if wanted.ends_with_us else os.open(os.devnull, os.O_RDONLY)
    with (
        os.fdopen(stdin) as stdin_file,
        os.fdopen(os.open(wanted.log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as log,
    ):
        process = subprocess.Popen(
            wanted.command(),
            cwd=wanted.state.parent,
            env=env,
            stdin=stdin_file,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return _awaited(wanted, process)


def stop(state: Path) -> bool:
    """Stop the embedded AWS and its functions; False when none was running.

    A server that does not end by itself in time is killed.
    """
    aws = running(state)
    if aws is None:
        state.unlink(missing_ok=True)
        return False
    _ask(aws, "stop")
    deadline = time.monotonic() + _STOP_SECONDS
    while _alive(aws.pid):
        if time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.kill(aws.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
            state.unlink(missing_ok=True)
        time.sleep(_PAUSE)
    return True


def _awaited(wanted: Background, process: subprocess.Popen[bytes]) -> LocalAws:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        # The lock decides who serves; the loser of two starts finds the winner here.
        found = running(wanted.state)
        if found is not None:
            if found.pid != process.pid and os.name != "nt":
                # Ours was the second. It must not get the lock when the first is stopped.
                process.terminate()
                process.wait()
            return found
        if process.poll() not in {None, 4}:
            break
        time.sleep(_PAUSE)
    if process.poll() is None:
        process.terminate()
        process.wait()
    lines = wanted.log.read_text(encoding="utf-8", errors="replace").splitlines()
    raise PipelineError(
        _WHERE,
        f"it did not start (exit code {process.returncode})",
        "\n".join([*lines[-_LAST_LINES:], f"The whole log is {wanted.log}."]),
    )


def _ask(aws: LocalAws, what: str) -> int | None:
    """Ask the server itself; return its process id, or None when it is not ours or not there."""
    credential = f"{aws.access_key}/20260101/{aws.region}/pipeline/aws4_request"
    headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={credential}"}
    try:
        # Unlike urllib it asks no proxy of the user.
        connection = http.client.HTTPConnection(aws.endpoint.removeprefix("http://"), timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", f"/_pipeline/{what}", headers=headers)
            return int(json.loads(connection.getresponse().read())["pid"])
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return None


def _alive(pid: int) -> bool:
    # If this process started the server, it has to collect it too.
    with contextlib.suppress(ChildProcessError, AttributeError):
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    try:
        os.kill(pid, 0)
    except OSError:  # it may be another user's by now
        return False
    return True
