"""`run`: the function of a package, on this machine, under AWS's own runtime client."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.errors import PipelineError
from ..core.events import Reporter
from ..core.manifest import Dependency, FunctionFacts
from ..core.names import FUNCTION_ZIP
from ..core.templates import declared_values, resolve
from ..deploy.smoke import SMOKE_FILE, Smoke
from ..edge.files import read_text, remove_folder
from ..edge.machine import Machine
from ..function.engine import engine_for
from ..function.handler import template_reasons
from ..local.background import running
from ..package.contents import Package
from ..package.native import native_zip
from ..project.project import BUNDLED, FROM_RUNTIME, LOCAL_ENVIRONMENT, Project
from ..project.runtimes import runtime_named
from ..project.stack import stack_function
from ..runtime.function_code import FunctionCode, FunctionConfig, unpack_function
from ..runtime.function_process import FunctionProcess
from ..runtime.invocation import Invocation
from ..zip.reader import Archive
from .build import fresh_package
from .local import Started, aws_at_hand, background, lay_out

# Who has one of these will call AWS. An embedded one takes seconds to start: others do without.
_SDKS = ("boto3", "botocore", "@aws-sdk/")
# What a function's logging configuration decides, as Lambda calls it and as we do.
_LOGGING = {
    "LogFormat": "log_format",
    "ApplicationLogLevel": "log_level",
    "SystemLogLevel": "system_log_level",
}


def read_event(path: Path) -> bytes:
    """Return an event file's JSON in UTF-8, as AWS takes it; of a smoke test its event.

    Raises PipelineError.
    """
    try:
        data = read_text(path, str(path)).encode()
        is_smoke = SMOKE_FILE.fullmatch("/".join(path.absolute().parts[-3:]))
        return Smoke.read(data, str(path)).event if is_smoke else data
    except OSError as error:
        raise PipelineError(
            "--event", f"{path}: {error.strerror}", "Name a JSON file, like those in tests/events."
        ) from error


def run(
    project: Project, named: str | None, events: Sequence[bytes], machine: Machine,
    reporter: Reporter, terminal: str = "",
) -> list[Invocation]:  # fmt: skip
    """Run the named package, or the last build's, which is made first when missing or stale.

    `terminal` is the device that a debugger talks to; empty without one.
    """
    package = fresh_package(project, named, machine, reporter)
    machine.tooling("local")
    return run_packaged(project, package, events, machine, reporter, terminal)


def run_packaged(
    project: Project, path: Path, events: Sequence[bytes], machine: Machine, reporter: Reporter,
    terminal: str = "",
) -> list[Invocation]:  # fmt: skip
    """Run a package's function for every event, in the surroundings that `local` has."""
    package = Package.open(path)
    manifest = package.own_manifest()
    facts = manifest.function
    function = replace(
        project.function,
        runtime=runtime_named(facts.runtime, where=package.path.name),
        boto3=facts.boto3 or _boto3_of(package.function),
    )
    runtime = engine_for(function.runtime).runtime(function, machine, reporter)
    with ExitStack() as held:
        scratch = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="run-")))
        task = scratch / "task"
        held.callback(remove_folder, task)
        native = native_zip(project, package, runtime, machine, reporter, scratch / FUNCTION_ZIP)
        unpack_function(native or package.function_zip(), task)
        wanted = background(project, runtime, machine)
        started = None
        if running(wanted.state) or calls_aws(function.boto3, manifest.dependencies):
            started = held.enter_context(aws_at_hand(wanted, reporter))(project)
            lay_out(events, project.root, started.aws, reporter)
        settings = run_settings(project, facts, machine.environ, reporter, started)
        code = FunctionCode(task, facts.handler, runtime)
        return run_events(code, settings, events, reporter, terminal=terminal)


def calls_aws(boto3: str, dependencies: Iterable[Dependency]) -> bool:
    """Tell whether a function has what calls AWS, from its runtime or in its package."""
    return boto3 == FROM_RUNTIME or any(one.name.startswith(_SDKS) for one in dependencies)


def run_settings(
    project: Project, function: FunctionFacts, environ: Mapping[str, str], reporter: Reporter,
    started: Started | None = None,
) -> FunctionConfig:  # fmt: skip
    """Return how the embedded AWS would run a function, with that AWS where one is `started`.

    Memory, time and logging are the stack's. Variables are filled with those of `local`; the
    stack's own are there where it was made.
    """
    templates, local = function.environment, project.environment(LOCAL_ENVIRONMENT)
    if unfit := template_reasons(templates):
        then = "Correct it in pyproject.toml, [tool.pipeline.function.environment]."
        raise PipelineError("run", "; ".join(unfit), then)
    values = resolve(templates, declared_values(templates, local.declared(), environ), where="run")
    config = FunctionConfig(function.name, runtime=function.runtime, environment=values)
    if started is None:
        said = stack_function(project.root)
        if said.unclear:
            reporter.line(
                f"  run       {said.unclear}: Lambda's own are taken, 128 MB and 3 seconds"
            )
        logging = _logging(said.logging)
        return replace(config, memory=said.memory, timeout=said.timeout, **logging)
    made, aws = started.function(), started.aws
    return replace(
        config,
        memory=made.get("MemorySize", config.memory),
        timeout=made.get("Timeout", config.timeout),
        environment={**made.get("Environment", {}).get("Variables", {}), **values},
        endpoint=aws.endpoint,
        region=aws.region,
        access_key=aws.function_key,
        secret_key=aws.function_secret,
        **_logging(made.get("LoggingConfig", {})),
    )


def _logging(given: Mapping[str, str]) -> dict[str, Any]:
    return {ours: given[theirs] for theirs, ours in _LOGGING.items() if theirs in given}


def run_events(
    code: FunctionCode,
    settings: FunctionConfig,
    events: Iterable[bytes],
    reporter: Reporter,
    *,
    bytecode: Path | None = None,
    terminal: str = "",
) -> list[Invocation]:
    """Run JSON events one after another in one warm process, and show log and answers.

    Compiled modules go to `bytecode`, which later runs may share; a debugger talks to the device
    `terminal`. Raises PipelineError for a Python that cannot be started, and an event that is not
    JSON. A failing function is not an error here: see the invocations.
    """
    process = FunctionProcess(code, settings, bytecode=bytecode, terminal=terminal)
    done = []
    try:
        for number, event in enumerate(events, 1):
            check_event(number, event)
            invocation = process.invoke(event)
            show(invocation, reporter)
            done.append(invocation)
    finally:
        process.close()
    return done


def _boto3_of(function: Archive | None) -> str:
    """Tell where a package has its boto3 from whose manifest does not say so."""
    names = (entry.name for entry in function.entries) if function else ()
    return BUNDLED if "boto3/__init__.py" in names else FROM_RUNTIME


def check_event(number: int, event: bytes) -> None:
    """Raise PipelineError for an event that is no JSON, with its number among those given."""
    try:
        json.loads(event)
    except (ValueError, RecursionError) as error:
        raise PipelineError(
            f"event {number}", f"this is not JSON: {error}", "Correct the event file."
        ) from error


def show(invocation: Invocation, reporter: Reporter) -> None:
    """Show log and answer."""
    for line in invocation.readable_log().splitlines():
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
