"""`run`: the function of a package, on this machine, under AWS's own runtime client."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..core.errors import PipelineError
from ..core.events import Reporter
from ..core.manifest import FunctionFacts
from ..core.templates import declared_values, resolve
from ..edge.files import read_text, remove_folder
from ..edge.machine import Machine
from ..function.engine import engine_for
from ..package.contents import Package
from ..project.project import BUNDLED, FROM_RUNTIME, LOCAL_ENVIRONMENT, Project
from ..project.runtimes import runtime_named
from ..runtime.function_code import FunctionCode, FunctionConfig, unpack_function
from ..runtime.function_process import FunctionProcess
from ..runtime.invocation import Invocation
from ..zip.reader import Archive
from .build import fresh_package

_TASK_ROOT = "/var/task"
_TIMEOUT_SECONDS = 60


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
    """Run the package's function for every event; its variables are those of `local`."""
    opened = Package.open(package)
    facts = opened.own_manifest().function
    settings = run_settings(project, facts, machine.environ)
    function = replace(
        project.function,
        runtime=runtime_named(facts.runtime, where=package.name),
        boto3=facts.boto3 or _boto3_of(opened.function),
    )
    runtime = engine_for(function.runtime).runtime(function, machine, reporter)
    with tempfile.TemporaryDirectory(prefix="run-") as scratch:
        folder = Path(scratch, "task")
        unpack_function(opened.function_zip(), folder)
        try:
            code = FunctionCode(folder, facts.handler, runtime)
            return run_events(code, settings, events, reporter)
        finally:
            remove_folder(folder)


def run_settings(
    project: Project, function: FunctionFacts, environ: Mapping[str, str]
) -> FunctionConfig:
    """Return how `run` runs a function: its variables are filled with those of `local`."""
    templates, local = function.environment, project.environment(LOCAL_ENVIRONMENT)
    values = resolve(templates, declared_values(templates, local.declared(), environ), where="run")
    return FunctionConfig(
        function.name, runtime=function.runtime, timeout=_TIMEOUT_SECONDS, environment=values
    )


def run_events(
    code: FunctionCode,
    settings: FunctionConfig,
    events: Iterable[bytes],
    reporter: Reporter,
    *,
    bytecode: Path | None = None,
) -> list[Invocation]:
    """Run JSON events one after another in one warm process, and show log and answers.

    Compiled modules go to `bytecode`, which later runs may share. Raises PipelineError for a
    Python that cannot be started, and an event that is not JSON. A failing function is not an
    error here: see the invocations.
    """
    process = FunctionProcess(code, settings, bytecode=bytecode)
    done = []
    try:
        for number, event in enumerate(events, 1):
            _check_event(number, event)
            invocation = process.invoke(event)
            _show(invocation, code.folder, reporter)
            done.append(invocation)
    finally:
        process.close()
    return done


def _boto3_of(function: Archive | None) -> str:
    """Tell where a package has its boto3 from whose manifest does not say so."""
    names = (entry.name for entry in function.entries) if function else ()
    return BUNDLED if "boto3/__init__.py" in names else FROM_RUNTIME


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
