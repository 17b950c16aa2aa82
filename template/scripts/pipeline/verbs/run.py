"""`run`: the function of a package, on this machine, under AWS's own runtime client."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..core.errors import PipelineError
from ..core.events import Reporter
from ..core.manifest import FunctionFacts
from ..core.names import FUNCTION_ZIP
from ..core.templates import declared_values, resolve
from ..edge.files import read_text, remove_folder
from ..edge.machine import Machine
from ..function.engine import engine_for
from ..package.contents import Package
from ..project.project import BUNDLED, FROM_RUNTIME, LOCAL_ENVIRONMENT, Project
from ..project.runtimes import runtime_named
from ..runtime.function_code import FunctionCode, FunctionConfig, LocalRuntime, unpack_function
from ..runtime.function_process import FunctionProcess
from ..runtime.invocation import Invocation
from ..zip.reader import Archive
from .build import fresh_package

_TASK_ROOT = "/var/task"
_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class RunRequest:
    """What to run: the function zip, the manifest's facts, and JSON events, one after another.

    `settings` are those a stack would give the function: memory, timeout, environment; with an
    `endpoint` its calls to AWS go there, else nowhere.
    """

    function_zip: Path
    function: FunctionFacts
    events: Iterable[bytes]
    runtime: LocalRuntime
    settings: FunctionConfig


def read_event(path: Path) -> bytes:
    """Return an event file's JSON in UTF-8, as AWS takes it. Raises PipelineError."""
    try:
        return read_text(path, str(path)).encode()
    except OSError as error:
        raise PipelineError(
            "--event", f"{path}: {error.strerror}", "Name a JSON file, like those in tests/events."
        ) from error


def run(
    project: Project, named: str | None, events: Sequence[bytes], machine: Machine,
    reporter: Reporter,
) -> list[Invocation]:  # fmt: skip
    """Run the named package, or the last build's, which is made first when missing or stale."""
    package = fresh_package(project, named, machine, reporter)
    machine.tooling("local")
    return run_packaged(project, package, events, machine, reporter)


def run_packaged(
    project: Project, package: Path, events: Sequence[bytes], machine: Machine, reporter: Reporter
) -> list[Invocation]:
    """Run the package's function zip for every event; its variables are those of `local`."""
    opened = Package.open(package)
    manifest = opened.own_manifest()
    settings = run_settings(project, manifest.function.environment, machine)
    with tempfile.TemporaryDirectory() as scratch:
        function_zip = Path(scratch) / FUNCTION_ZIP
        function_zip.write_bytes(opened.function_zip())
        function = replace(
            project.function,
            runtime=runtime_named(manifest.function.runtime, where=package.name),
            boto3=manifest.function.boto3 or _boto3_of(opened.function),
        )
        # `run_function` names the Python, and what may come of it.
        engine = engine_for(function.runtime)
        runtime = engine.runtime(function, machine, reporter, warns=False)
        request = RunRequest(function_zip, manifest.function, events, runtime, settings)
        return run_function(request, reporter)


def run_settings(
    project: Project, templates: Mapping[str, str], machine: Machine
) -> FunctionConfig:
    """Return how `run` runs a function: its variables are filled with those of `local`."""
    local = project.environment(LOCAL_ENVIRONMENT)
    known = declared_values(templates, local.declared(), machine.environ)
    values = resolve(templates, known, where="run")
    return FunctionConfig("run", timeout=_TIMEOUT_SECONDS, environment=values)


def run_function(request: RunRequest, reporter: Reporter) -> list[Invocation]:
    """Unpack the function, run every event in one warm process, and show log and answers.

    Raises PipelineError for a zip that is not sound, a Python that cannot be started, an event
    that is not JSON. A failing function is not an error here: see the invocations.
    """
    _note_python(request, reporter)
    with tempfile.TemporaryDirectory(prefix="run-") as scratch:
        folder = Path(scratch, "task")
        unpack_function(request.function_zip, folder)
        try:
            return run_unpacked(request, folder, reporter)
        finally:
            remove_folder(folder)


def run_unpacked(
    request: RunRequest, folder: Path, reporter: Reporter, *, bytecode: Path | None = None
) -> list[Invocation]:
    """Do what `run_function` does, with the function unpacked in `folder` already.

    Compiled modules go to `bytecode`, which later runs may share.
    """
    code = FunctionCode(folder, request.function.handler, request.runtime)
    config = replace(
        request.settings,
        name=request.function.name,
        runtime=request.function.runtime,
        environment={**request.function.environment, **request.settings.environment},
    )
    process = FunctionProcess(code, config, bytecode=bytecode)
    done = []
    try:
        for number, event in enumerate(request.events, 1):
            _check_event(number, event)
            invocation = process.invoke(event)
            _show(invocation, folder, reporter)
            done.append(invocation)
    finally:
        process.close()
    return done


def _boto3_of(function: Archive | None) -> str:
    """Tell where a package has its boto3 from whose manifest does not say so."""
    names = (entry.name for entry in function.entries) if function else ()
    return BUNDLED if "boto3/__init__.py" in names else FROM_RUNTIME


def _note_python(request: RunRequest, reporter: Reporter) -> None:
    wanted = request.function.runtime.removeprefix("python")
    if request.runtime.version != wanted:
        reporter.warn(
            f"Python {wanted} is not on this machine: this runs on {request.runtime.version}, "
            "and what needs the other minor may fail here or there."
        )


def _check_event(number: int, event: bytes) -> None:
    try:
        json.loads(event)
    except (ValueError, RecursionError) as error:
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
    except (ValueError, RecursionError):
        return answer
    return str(document.get("errorMessage", answer)) if isinstance(document, dict) else answer
