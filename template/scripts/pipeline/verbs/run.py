"""Run a packaged function on this machine under AWS's own runtime client."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import PipelineError
from ..local.function import FunctionProcess
from ..local.function_code import FunctionCode, FunctionConfig, remove_function, unpack_function
from ..local.invocation import Invocation
from ..report.events import Reporter
from ..values.manifest import FunctionFacts

__all__ = ["RunOutcome", "RunRequest", "read_event", "run_function", "run_unpacked"]

_TASK_ROOT = "/var/task"


@dataclass(frozen=True)
class RunRequest:
    """What to run: the function zip, the manifest's facts, and JSON events, one after another.

    `python_version` is the Python's `major.minor`. Without `ric`, the folder of AWS's runtime
    client, our own small client is used. `settings` are those a stack would give the function:
    memory, timeout, environment; with an `endpoint` its calls to AWS go there, else nowhere.
    """

    function_zip: Path
    function: FunctionFacts
    events: Iterable[bytes]
    python: Path
    python_version: str
    ric: Path | None
    extra_paths: tuple[Path, ...] = ()
    settings: FunctionConfig = field(default_factory=lambda: FunctionConfig("run", timeout=60))


@dataclass(frozen=True)
class RunOutcome:
    """The invocations in the order of their events; `failed` says how many had an error."""

    invocations: tuple[Invocation, ...]

    @property
    def failed(self) -> int:
        """How many invocations ended with an error."""
        return sum(1 for invocation in self.invocations if invocation.error)


def read_event(path: Path) -> bytes:
    """Return an event file's bytes. Raises PipelineError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise PipelineError(
            "--event", f"{path}: {error.strerror}", "Name a JSON file, like those in tests/events."
        ) from error


def run_function(request: RunRequest, reporter: Reporter) -> RunOutcome:
    """Unpack the function, run every event in one warm process, and show log and answers.

    Raises PipelineError for a zip that is not sound, a Python that cannot be started, an event
    that is not JSON. A failing function is not an error here: see the outcome.
    """
    _note_python(request, reporter)
    with tempfile.TemporaryDirectory(prefix="run-") as scratch:
        folder = Path(scratch, "task")
        unpack_function(request.function_zip, folder)
        try:
            return run_unpacked(request, folder, reporter)
        finally:
            remove_function(folder)


def run_unpacked(
    request: RunRequest, folder: Path, reporter: Reporter, *, bytecode: Path | None = None
) -> RunOutcome:
    """Do what `run_function` does, with the function unpacked in `folder` already.

    Compiled modules go to `bytecode`, which later runs may share.
    """
    code = FunctionCode(
        folder=folder,
        handler=request.function.handler,
        runtime_python=request.python,
        ric=request.ric,
        extra_paths=request.extra_paths,
    )
    process = FunctionProcess(code, _config(request), bytecode=bytecode)
    done = []
    try:
        for number, event in enumerate(request.events, 1):
            _check_event(number, event)
            invocation = process.invoke(event)
            _show(invocation, folder, reporter)
            done.append(invocation)
    finally:
        process.close()
    return RunOutcome(tuple(done))


def _config(request: RunRequest) -> FunctionConfig:
    settings = request.settings
    environment: Mapping[str, str] = {**request.function.environment, **settings.environment}
    return FunctionConfig(
        name=request.function.name,
        memory=settings.memory,
        timeout=settings.timeout,
        region=settings.region,
        runtime=request.function.runtime,
        environment=environment,
        endpoint=settings.endpoint,
        access_key=settings.access_key,
        secret_key=settings.secret_key,
        log_format=settings.log_format,
    )


def _note_python(request: RunRequest, reporter: Reporter) -> None:
    wanted = request.function.runtime.removeprefix("python")
    if request.python_version != wanted:
        reporter.warn(
            f"Python {wanted} is not on this machine: this runs on {request.python_version}, "
            "and what needs the other minor may fail here or there."
        )


def _check_event(number: int, event: bytes) -> None:
    try:
        json.loads(event)
    except ValueError as error:
        raise PipelineError(
            f"event {number}", f"this is not JSON: {error}", "Correct the event file."
        ) from error


def _show(invocation: Invocation, folder: Path, reporter: Reporter) -> None:
    log = invocation.readable_log().replace(str(folder), _TASK_ROOT)
    for line in log.splitlines():
        reporter.line(line)
    answer = invocation.payload.decode("utf-8", "replace")
    if invocation.error:
        reporter.warn(f"{invocation.error} {invocation.error_type}: {_message(answer)}")
    else:
        reporter.line(answer)


def _message(answer: str) -> str:
    try:
        document = json.loads(answer)
    except ValueError:
        return answer
    return str(document.get("errorMessage", answer)) if isinstance(document, dict) else answer
