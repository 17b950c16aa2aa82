"""The deploy of an unpacked package: what Octopus runs on a worker, and `deploy` here."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.errors import Conflict, NotTheSame, PipelineError
from ..core.events import Achieved, Failed, Output, Reporter
from ..core.lambda_limits import DIRECT_UPLOAD_LIMIT
from ..core.manifest import BUCKET, KEEP_VERSIONS, MANIFEST_NAME, Manifest, ZipFacts
from ..core.masking import hiding, masked
from ..core.names import ALIAS, DEPLOY_HOOKS, FUNCTION_ZIP, resource_name
from ..core.templates import resolve
from ..core.text import line_sink, readable_size
from .apply import apply
from .aws_session import Connect, Connection, connect
from .hooks import load_hooks
from .observe import Wait, published_versions, read_alias, settled
from .old_versions import old_versions, remove, rights
from .plan import Applied, Bucket, Plan, Wanted
from .policy import policy
from .triggers import off_the_alias
from .worker import WorkerContext
from .worker_log import octopus_lines

# An output of a dry run: how many changes it found.
CHANGES = "Changes"
_OFF_THE_ALIAS = (
    "not on the alias live of {name}, so a deploy does not reach it: {found}. In "
    "environment/stack.yaml name the alias there (FunctionName: !Ref Live, or Qualifier: live): "
    "scripts/docs/live-alias.md in the repository has the lines."
)
_NO_ALIAS = (
    "{name} has no alias live, so what calls it meets each change of a deploy at once, and no "
    "deploy can be taken back. Add an AWS::Lambda::Alias to environment/stack.yaml, and let what "
    "calls the function name it: scripts/docs/live-alias.md in the repository has the lines."
)


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
    path = package / MANIFEST_NAME
    manifest = Manifest.from_json(_read(path), where=str(path))
    environment = _declared(manifest, context.environment)
    place = manifest.environments.get(environment, {})
    where = f"deploy {environment}".rstrip()
    keep = int(place.get(KEEP_VERSIONS) or 0)
    templates = manifest.function.templates()
    values = resolve(templates, context.variables, where=where, missing=context.missing(place))
    bucket = _bucket(manifest, values.pop(BUCKET))
    name = context.function or resource_name(environment, manifest.function.name)
    reporter.line(f"{manifest.package_id} {manifest.version} to {name} ({environment})")
    with reporter.stage("check") as stage:
        code = _code(package, manifest, where)
        hooks = load_hooks(package / DEPLOY_HOOKS)
        stage.text = f"{FUNCTION_ZIP} {readable_size(len(code))}, the bytes that were built"
    with reporter.stage("plan") as stage:
        connection = connect(context.credentials, place)
        connection = replace(connection, caller=context.who or connection.caller)
        found = settled(connection.functions, name, wait, stage)
        functions = connection.functions
        plan = Plan.between(
            found,
            Wanted.from_manifest(manifest, values, context.release),
            bucket,
            alias=read_alias(functions, name),
            versions=published_versions(functions, name),
        )
        stage.text = _summary(plan)
    if warning := _events_warning(plan, functions):
        reporter.warn(warning)
    with hiding(_environment_values(plan), reporter) as quiet:
        _report_plan(plan, connection, quiet)
        applied = Applied(manifest.version, environment, plan, found, ())
        if context.print_policy:
            quiet.emit(Output("Policy", policy(plan, rights(found.arn) if keep else ())))
            return applied
        if context.dry_run:
            quiet.emit(Output(CHANGES, str(len(plan.changes))))
            quiet.line("Dry run: nothing was changed.")
            return applied
        hooks("before_deploy", plan)
        try:
            function = apply(plan, code, connection, quiet, wait)
        except Conflict as error:
            raise Conflict(where, error.what, error.then) from error
        applied = replace(applied, function=function, steps=plan.steps)
        _report_result(applied, quiet)
        hooks("after_deploy", applied)
    if keep:
        _remove_versions(functions, name, keep, reporter)
    return applied


def _remove_versions(functions: Any, name: str, keep: int, reporter: Reporter) -> None:
    """Remove old versions. What serves is deployed already: nothing here fails the deploy."""
    with reporter.stage("versions") as stage:
        try:
            remove(functions, name, old_versions(functions, name, keep), stage)
        except PipelineError as error:
            stage.text = "old ones stay"
            reporter.warn(f"old versions were not removed: {error.where}: {error.what}")


def _environment_values(plan: Plan) -> list[str]:
    """Return the environment's values, ours and others': AWS quotes them in what it refuses.

    What the deploy says of the function itself, like its name, is not a secret.
    """
    observed, wanted = plan.observed, plan.wanted
    public = repr((replace(observed, environment={}), replace(wanted, environment={})))
    values = {*observed.environment.values(), *wanted.environment.values()}
    return sorted(value for value in values if value not in public)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        then = (
            "Deploy a whole package: one that `python3 tasks.py build` made, "
            "unpacked by Octopus or by us."
        )
        raise PipelineError(str(path), f"it cannot be read: {error.strerror}", then) from error


def _declared(manifest: Manifest, given: str) -> str:
    """Return an environment's name as it is declared."""
    return next((name for name in manifest.environments if name.lower() == given.lower()), given)


def _code(package: Path, manifest: Manifest, where: str) -> bytes:
    path = package / FUNCTION_ZIP
    data = _read(path)
    listed = manifest.function_zip
    wrong = listed.mismatch(ZipFacts.of(data, listed.unzipped_size, listed.files))
    if wrong:
        then = "Nothing was changed. The package was damaged or edited: push and deploy it again."
        raise NotTheSame(str(path), wrong, then)
    if len(data) > DIRECT_UPLOAD_LIMIT and not manifest.function.bucket:
        raise PipelineError(
            str(path),
            f"it has {len(data):,} bytes, Lambda takes {DIRECT_UPLOAD_LIMIT:,} directly",
            "Nothing was changed. Name a bucket in [tool.pipeline.function] and build again.",
        )
    file = manifest.function.handler_file
    if file and file not in _names_in(data, where):
        raise PipelineError(
            where,
            f"the handler {manifest.function.handler} is missing: there is no {file} in "
            f"{FUNCTION_ZIP}",
            "Nothing was changed. Build the package again, and push that one.",
        )
    return data


def _names_in(code: bytes, where: str) -> set[str]:
    try:
        with zipfile.ZipFile(io.BytesIO(code)) as archive:
            return set(archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        what = f"{FUNCTION_ZIP} cannot be read: {error}"
        raise PipelineError(where, what, "Nothing was changed. Build the package again.") from error


def _bucket(manifest: Manifest, name: str) -> Bucket | None:
    # Named by its content: deploying again what is there already changes nothing.
    return (
        Bucket(name, f"{manifest.package_id}/{manifest.function_zip.sha256}.zip") if name else None
    )


def _summary(plan: Plan) -> str:
    count = len(plan.changes)
    if not plan.steps:
        return "nothing to change: the function is as the package has it"
    names = ", ".join(step.name for step in plan.steps)
    return f"{count} change{'' if count == 1 else 's'}: {names}"


def _events_warning(plan: Plan, functions: Any) -> str:
    """Say which events do not meet what this deploy publishes, and what to write in the stack."""
    name = plan.observed.name
    if plan.alias is None:
        return _NO_ALIAS.format(name=name)
    try:
        found = off_the_alias(functions, plan.observed)
    except PipelineError as error:
        return f"what calls {name} was not looked at: {error.what}"
    return _OFF_THE_ALIAS.format(name=name, found=", ".join(found)) if found else ""


def _report_plan(plan: Plan, connection: Connection, reporter: Reporter) -> None:
    reporter.line(f"{plan.observed.arn} {connection.caller}".rstrip(), verbose=True)
    for change in plan.changes:
        reporter.line(f"    {change}")


def _report_result(applied: Applied, reporter: Reporter) -> None:
    function, wanted, alias = applied.function, applied.plan.wanted, applied.plan.alias
    if function.architecture != wanted.architecture:
        reporter.warn(
            f"{function.name} is still {function.architecture}, not {wanted.architecture}: "
            "the service did not take the architecture"
        )
    reporter.emit(Output("Version", applied.version))
    reporter.emit(Output("FunctionArn", applied.plan.observed.arn))
    reporter.emit(Output("FunctionVersion", function.version))
    if alias:
        reporter.emit(Output("AliasArn", alias.arn))
    reporter.emit(Output("CodeSha256", function.code_sha256))
    where = f"{function.name}:{ALIAS}" if alias else function.name
    done = f"{where} runs {applied.version} as version {function.version}"
    reporter.emit(Achieved(f"{done}, CodeSha256 {function.code_sha256}"))
