"""The deploy of an unpacked package: what Octopus runs on a worker, and `invoke deploy` here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..aws.apply import Code, Through, apply
from ..aws.function import Wait, settled
from ..aws.session import Connect, Connection, connect
from ..errors import Conflict, NotTheSame, PipelineError
from ..octopus.variables import resolve
from ..octopus.worker import WorkerContext
from ..report.events import Achieved, Failed, Output, Reporter
from ..report.masking import masked
from ..report.octopus import octopus_lines
from ..report.words import line_sink, size
from ..values.handler import check_handler
from ..values.lambda_limits import DIRECT_UPLOAD_LIMIT
from ..values.manifest import BUCKET, MANIFEST_NAME, Manifest, ZipFacts
from ..values.names import DEPLOY_HOOKS, FUNCTION_ZIP, resource_name
from ..values.plan import Applied, Plan, Wanted
from .hooks import load_hooks


def run_on_worker(
    package: Path,
    script: Mapping[str, Any],
    environ: Mapping[str, str],
    write: Callable[[str], None],
) -> int:
    """Deploy the package in the folder `package`, and return the exit code.

    `script` are the globals of the main script, where Octopus puts its variables; `write` takes
    the lines of standard output. A bug is reported as the result, and raised.
    """
    sink = line_sink(write, octopus_lines)
    try:
        context = WorkerContext.from_globals(script, environ)
        sink = masked(sink, context.secrets)
        deploy(package, context, Reporter(sink, time.monotonic))
    except PipelineError as error:
        sink(Failed("", error))
        return error.exit_code
    except Exception as error:
        then = "This is a bug in the pipeline; its trace is in the log."
        sink(Failed("", PipelineError("deploy", f"unexpected {error!r}", then)))
        raise
    return 0


def deploy(
    package: Path,
    context: WorkerContext,
    reporter: Reporter,
    *,
    connect: Connect = connect,
    wait: Wait | None = None,
) -> Applied:
    """Bring the function of the context's environment to what the package holds.

    Checks the package, plans, runs the package's hooks, applies, and tells later steps the
    version, the function's ARN and its CodeSha256. A dry run ends after the plan. Deploying
    again what is there already changes nothing.
    """
    wait = wait or Wait(time.sleep, time.monotonic)
    manifest = _manifest(package)
    environment, name = _target(manifest, context)
    where = f"deploy {environment}"
    reporter.line(f"{manifest.package_id} {manifest.version} to {name} ({environment})")
    with reporter.stage("check") as stage:
        code = _code(package, manifest, where)
        hooks = load_hooks(package / DEPLOY_HOOKS)
        values = resolve(manifest.function.environment, context.variables, where=where)
        bucket = resolve({BUCKET: manifest.function.bucket}, context.variables, where=where)[BUCKET]
        stage.text = f"{FUNCTION_ZIP} {size(len(code))}, the bytes that were built"
    with reporter.stage("plan") as stage:
        connection = connect(context.credentials, manifest.environments.get(environment, {}))
        found = settled(connection.functions, name, wait, stage)
        plan = Plan.between(found, Wanted.from_manifest(manifest, values, context.release))
        stage.text = _summary(plan)
    _show(plan, connection, reporter)
    applied = Applied(manifest.version, environment, plan, found, ())
    if context.dry_run:
        reporter.line("Dry run: nothing was changed.")
        return applied
    hooks("before_deploy", plan)
    try:
        sent = Code(code, _through(bucket, manifest, connection))
        function = apply(plan, sent, connection.functions, reporter, wait)
    except Conflict as error:
        raise Conflict(where, error.what, error.then) from error
    applied = replace(applied, function=function, steps=plan.steps)
    _tell(applied, reporter)
    hooks("after_deploy", applied)
    return applied


def _manifest(package: Path) -> Manifest:
    path = package / MANIFEST_NAME
    return Manifest.from_json(_read(path), where=str(path))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        then = "Deploy a whole package: one that `invoke build` made, unpacked by Octopus or by us."
        raise PipelineError(str(path), f"it cannot be read: {error.strerror}", then) from error


def _target(manifest: Manifest, context: WorkerContext) -> tuple[str, str]:
    """Return the environment as it is declared, and the function's whole name."""
    given = context.environment
    name = next((name for name in manifest.environments if name.lower() == given.lower()), given)
    return name, context.function or resource_name(name, manifest.function.name)


def _code(package: Path, manifest: Manifest, where: str) -> bytes:
    path = package / FUNCTION_ZIP
    data = _read(path)
    said = manifest.function_zip
    wrong = said.misfit(ZipFacts.of(data, said.unzipped_size, said.files))
    if wrong:
        raise NotTheSame(
            str(path),
            wrong,
            "Nothing was changed. The package was damaged or edited: push and deploy it again.",
        )
    if len(data) > DIRECT_UPLOAD_LIMIT and not manifest.function.bucket:
        raise PipelineError(
            str(path),
            f"it has {len(data):,} bytes, Lambda takes {DIRECT_UPLOAD_LIMIT:,} directly",
            "Nothing was changed. Name a bucket in [tool.pipeline.function] and build again.",
        )
    function = manifest.function
    check_handler(data, function.handler, where=where, runtime=function.runtime)
    return data


def _through(bucket: str, manifest: Manifest, connection: Connection) -> Through | None:
    # Named by its content: deploying again what is there already changes nothing.
    key = f"{manifest.package_id}/{manifest.function_zip.sha256}.zip"
    return Through(bucket, key, connection.objects) if bucket else None


def _summary(plan: Plan) -> str:
    count = len(plan.changes)
    if not plan.steps:
        return "nothing to change: the function is as the package has it"
    return f"{count} change{'' if count == 1 else 's'}: {', '.join(plan.steps)}"


def _show(plan: Plan, connection: Connection, reporter: Reporter) -> None:
    reporter.line(f"{plan.observed.arn} {connection.caller}".rstrip(), verbose=True)
    for change in plan.changes:
        reporter.line(f"    {change}")


def _tell(applied: Applied, reporter: Reporter) -> None:
    function, wanted = applied.function, applied.plan.wanted
    if function.architecture != wanted.architecture:
        reporter.warn(
            f"{function.name} is still {function.architecture}, not {wanted.architecture}: "
            "the service did not take the architecture"
        )
    reporter.emit(Output("Version", applied.version))
    reporter.emit(Output("FunctionArn", function.arn))
    reporter.emit(Output("CodeSha256", function.code_sha256))
    done = f"{function.name} runs {applied.version}, CodeSha256 {function.code_sha256}"
    reporter.emit(Achieved(done))
