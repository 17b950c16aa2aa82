"""A Lambda function as a warm process on this machine.

Its limits: this machine's libc and CPU instead of Amazon Linux, no ceiling on memory, and
the path /tmp itself is the machine's (the variables that name it lead to a folder of its own).
"""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import PipelineError
from .api import Kind, ProcessEvent, RuntimeApi, Work
from .child import Child
from .function_code import FunctionCode, FunctionConfig
from .invocation import UNHANDLED, Figures, Invocation, outcome
from .surroundings import function_environment, placed, start_command
from .system_log import SystemLog

# Where Lambda has the code and the client: what its log says instead of folders of this machine.
_TASK_ROOT, _RUNTIME_ROOT = "/var/task", "/var/runtime"
_STARTED: tuple[Kind, ...] = ("ready", "init-error", "exit")
# A file in the process's own folder, there once a debugger has stopped it.
_DEBUGGED = ".debugged"
_ENDED: tuple[Kind, ...] = ("answer", "error", "too-large", "exit")


@dataclass(frozen=True)
class _Start:
    """How a process came up: its log, the seconds it took, and what ended it if anything did.

    `deadline` is that of the invocation, by the monotonic clock.
    """

    deadline: float
    log: str = ""
    seconds: float | None = None
    ending: ProcessEvent | None = None


class FunctionProcess:
    """One execution environment: started by the first invocation, warm for the next ones.

    After a crash or a missed deadline the next invocation starts afresh. Invocations wait for
    each other. `bytecode` may be shared between processes of the same Python. `terminal` is the
    device a debugger talks to; once one has stopped the process no time limit counts.
    """

    def __init__(
        self,
        code: FunctionCode,
        config: FunctionConfig,
        *,
        bytecode: Path | None = None,
        terminal: str = "",
    ) -> None:
        self.code = code
        self.config = config
        self._system_log = SystemLog(config)
        self._log_stream = ""
        self._task = str(code.folder)
        self._bytecode = bytecode
        self._terminal = terminal
        self._child: Child | None = None
        self._scratch: Path | None = None
        self._closed = False
        self._lock = threading.Lock()

    def invoke(
        self,
        payload: bytes,
        *,
        request_id: str = "",
        client_context: str = "",
        invoked_arn: str = "",
    ) -> Invocation:
        """Run the function on a JSON document and wait for what comes of it.

        `invoked_arn` is what the caller called, made up when none is given.
        Raises PipelineError only when what runs the function cannot be started at all.
        """
        with self._lock:
            request_id = request_id or str(uuid.uuid4())
            start, child = self._ready()
            log = start.log + self._system_log.start(request_id)
            began = time.monotonic()
            ending = start.ending
            if ending is None:
                left = start.deadline - began
                arn = invoked_arn or self.config.made_up_arn()
                child.api.offer(_work(request_id, payload, left, client_context, arn))
                ending = self._awaited(child.api, request_id, start.deadline)
            seconds = time.monotonic() - began
            figures = Figures(seconds, start.seconds, child.peak_memory())
            log = (log + _text(child)).replace(self._task, _TASK_ROOT)
            log = log.replace(str(self.code.runtime.ric), _RUNTIME_ROOT)
            if ending.kind not in {"answer", "error"}:
                self._discard()
            return self._invocation(request_id, log, figures, ending)

    def close(self) -> None:
        """End the process with all it started and remove its folder."""
        with self._lock:
            self._closed = True
            self._discard()

    def abort(self) -> None:
        """End the process although an invocation may be under way; that one fails."""
        self._closed = True
        child = self._child
        if child is not None:
            child.kill()
        self.close()

    def _ready(self) -> tuple[_Start, Child]:
        """Make sure that a process waits for work, starting one where needed."""
        if self._child is not None and self._asks_again(self._child):
            return _Start(time.monotonic() + self.config.timeout), self._child
        self._discard()
        limit = self.config.init_timeout
        log = self._system_log.init_start()
        began = time.monotonic()
        child = self._spawn()
        started = self._first(child.api, _STARTED, limit)
        ready = time.monotonic()
        log += _text(child)
        if started.kind != "timeout":
            ending = None if started.kind == "ready" else started
            return _Start(ready + self.config.timeout, log, ready - began, ending), child
        # Lambda gives initialisation 10 s, then repeats it on the invocation's own time.
        log += self._system_log.init_timeout()
        self._discard()
        child = self._spawn()
        started = child.api.first(_STARTED, self.config.timeout)
        ending = None if started.kind == "ready" else started
        return _Start(ready + self.config.timeout, log + _text(child), None, ending), child

    def _asks_again(self, child: Child) -> bool:
        """Tell whether a process waits for the next event: it may end after it has answered."""
        ready = child.api.first(("ready", "exit"), self.config.timeout).kind == "ready"
        return ready and not child.has_exited()

    def _spawn(self) -> Child:
        if self._closed:
            raise PipelineError(f"function {self.config.name}", "its process was closed")
        for name, value in self.config.environment.items():
            if "=" in name or "\0" in name + value:
                what = f"its variable {name!r} has an equals sign in its name, or a null character"
                then = "Correct it where it is set: in pyproject.toml, the stack or Octopus."
                raise PipelineError(f"function {self.config.name}", what, then)
        scratch = Path(tempfile.mkdtemp(prefix="function-"))
        day = time.strftime("%Y/%m/%d", time.gmtime())
        self._log_stream = f"{day}/[{self.config.version}]{secrets.token_hex(16)}"
        self._scratch = scratch
        api = RuntimeApi()
        code = placed(self.code, scratch)
        self._task = str(code.folder)
        env = function_environment(
            code, self.config, api=api.address, scratch=scratch, log_stream=self._log_stream
        )
        command = start_command(
            code, self.config.memory, self._bytecode, self._terminal, scratch / _DEBUGGED
        )
        try:
            self._child = Child(api, command, env, code.folder)
        except OSError as error:
            api.close()
            self._discard()
            raise PipelineError(
                f"function {self.config.name}",
                f"{command[0]} cannot be started in {self.code.folder}: {error.strerror}",
                f"Check what stands for {self.config.runtime} and the unpacked package.",
            ) from error
        return self._child

    def _invocation(
        self, request_id: str, log: str, figures: Figures, ending: ProcessEvent
    ) -> Invocation:
        kind, payload = outcome(request_id, ending, self.config.timeout)
        status, error_type = "success", ""
        if ending.kind == "timeout":
            status = "timeout"
            log += self._system_log.timed_out(request_id)
        elif ending.kind in {"exit", "init-error"}:
            status, error_type = "error", kind
            if ending.kind == "exit":
                log += self._system_log.exited(json.loads(payload)["errorMessage"], kind)
        log += self._system_log.end(request_id, figures, status, error_type)
        return Invocation(
            request_id=request_id,
            version=self.config.version,
            payload=payload,
            error=UNHANDLED if kind else None,
            error_type=kind,
            log=log,
            log_stream=self._log_stream,
            figures=figures,
        )

    def _awaited(self, api: RuntimeApi, request_id: str, deadline: float) -> ProcessEvent:
        while True:
            event = self._first(api, _ENDED, deadline - time.monotonic())
            if event.kind in {"exit", "timeout"} or event.request_id == request_id:
                return event

    def _first(self, api: RuntimeApi, kinds: tuple[Kind, ...], seconds: float) -> ProcessEvent:
        event = api.first(kinds, seconds)
        if event.kind == "timeout" and self._scratch and (self._scratch / _DEBUGGED).exists():
            # A person is at it.
            return api.first(kinds, threading.TIMEOUT_MAX)
        return event

    def _discard(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None


def _work(request_id: str, payload: bytes, left: float, context: str, arn: str) -> Work:
    root = f"{int(time.time()):08x}-{secrets.token_hex(12)}"
    headers = {
        "Lambda-Runtime-Aws-Request-Id": request_id,
        "Lambda-Runtime-Deadline-Ms": str(int((time.time() + left) * 1000)),
        "Lambda-Runtime-Invoked-Function-Arn": arn,
        "Lambda-Runtime-Trace-Id": f"Root=1-{root};Parent={secrets.token_hex(8)};Sampled=0",
    }
    if context:
        headers["Lambda-Runtime-Client-Context"] = context
    return Work(request_id, payload, headers)


def _text(child: Child) -> str:
    return child.take_log().decode("utf-8", "replace")
