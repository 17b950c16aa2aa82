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
from ..core.lambda_limits import DESCRIPTION_LIMIT, DIRECT_UPLOAD_LIMIT
from ..core.manifest import BUCKET, MANIFEST_NAME, Manifest, ZipFacts
from ..core.masking import hiding, masked
from ..core.names import ALIAS, DEPLOY_HOOKS, FUNCTION_ZIP, release_in, resource_name
from ..core.templates import resolve
from ..core.text import line_sink, readable_size
from .apply import apply
from .aws_session import Connect, Connection, connect
from .hooks import load_hooks
from .observe import LATEST, Observed, Wait, published_versions, read_alias, settled
from .plan import WEIGHT, Applied, Bucket, Of, Plan, Wanted
from .policy import policy
from .smoke import SMOKE_FOLDER, Smoke, smoke_tests
from .traffic import ABORT, PROMOTE, Rollout, canary_in, ended, instead, refuse_canary
from .triggers import off_the_alias
from .verdict import Held
from .worker import STRATEGY_VARIABLE, WorkerContext
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
    templates = manifest.function.templates()
    values = resolve(templates, context.variables, where=where, missing=context.missing(place))
    bucket = _bucket(manifest, values.pop(BUCKET))
    name = context.function or resource_name(environment, manifest.function.name)
    rollout = instead(Rollout.read(place), context.strategy, STRATEGY_VARIABLE)
    reporter.line(f"{manifest.package_id} {manifest.version} to {name} ({environment})")
    with reporter.stage("check") as stage:
        code = _code(package, manifest, where)
        # Taking a canary back is no deploy of this package.
        hooks = load_hooks(package / DEPLOY_HOOKS) if context.traffic != ABORT else _no_hooks
        smoke = smoke_tests(package / SMOKE_FOLDER)
        stage.text = f"{FUNCTION_ZIP} {readable_size(len(code))}, the bytes that were built"
    with reporter.stage("plan") as stage:
        connection = connect(context.credentials, place)
        found = settled(connection.functions, name, wait, stage)
        wanted = Wanted.from_manifest(manifest, values, context.release)
        plan = _planned(found, wanted, bucket, smoke, rollout, context.traffic, connection, where)
        stage.text = _summary(plan)
    for warning in (_events_warning(plan, connection.functions), _traffic_warning(plan)):
        if warning:
            reporter.warn(warning)
    with hiding(_environment_values(plan), reporter) as quiet:
        _report_plan(plan, connection, quiet)
        version = release_in(plan.wanted.description)[0] or manifest.version
        applied = Applied(version, environment, plan, found, ())
        if context.print_policy:
            quiet.emit(Output("Policy", policy(plan)))
            return applied
        if context.dry_run:
            quiet.emit(Output(CHANGES, str(len(plan.changes))))
            quiet.line("Dry run: nothing was changed.")
            return applied
        hooks("before_deploy", plan)
        try:
            function = apply(plan, code, connection, quiet, wait)
        except (Conflict, Held) as error:
            raise type(error)(where, error.what, error.then) from error
        applied = replace(applied, function=function, steps=plan.steps)
        _report_result(applied, quiet)
        hooks("after_deploy", applied)
    return applied


def plan_end(word: str, observed: Observed, connection: Connection, where: str) -> Plan:
    """Plan to end the canary that is under way: all calls to its version, or none.

    `word` is PROMOTE or ABORT. Raises PipelineError where no canary is under way.
    """
    functions, name = connection.functions, observed.name
    alias, versions = read_alias(functions, name), [*published_versions(functions, name)]
    to, there = ended(word, alias, versions, where)
    if word == PROMOTE:
        return Plan.back_to(to, observed, there, to.description)
    tried, _ = canary_in(there)
    who = connection.caller.rpartition(":")[2]
    words = [f"took back {tried or 'a canary'}", f"{connection.now():%Y-%m-%d %H:%M} UTC", who]
    description = ", ".join(filter(None, words))[:DESCRIPTION_LIMIT]
    return Plan.back_to(to, observed, there, description)


def _planned(
    found: Observed, wanted: Wanted, bucket: Bucket | None, smoke: tuple[Smoke, ...],
    rollout: Rollout, traffic: str, connection: Connection, where: str,
) -> Plan:  # fmt: skip
    if traffic == ABORT:
        return plan_end(ABORT, found, connection, where)
    functions, name = connection.functions, found.name
    alias, versions = read_alias(functions, name), [*published_versions(functions, name)]
    plan = Plan.between(
        found,
        wanted,
        bucket,
        alias=alias,
        versions=versions,
        smoke=smoke,
        # Who promotes has judged already.
        rollout=Rollout() if traffic else rollout,
    )
    if traffic:
        tried, _ = ended(PROMOTE, alias, versions, where)
        if tried != plan.made:
            what = f"the canary is version {tried.version} ({tried.description}), not this release"
            raise PipelineError(where, what, "Deploy the release of the canary with promote.")
    if plan.canary and alias:
        refuse_canary(plan.canary, alias, plan.made or found, connection, where)
    return plan


def _no_hooks(_stage: str, _value: object) -> None:
    """Run none."""


def _traffic_warning(plan: Plan) -> str:
    """Say what an instant switch may do to a function with reserved concurrency."""
    moves = any(step.of is Of.ALIAS for step in plan.steps)
    reserved, alias = plan.observed.reserved, plan.alias
    if not moves or reserved is None or plan.canary or not alias or alias.version == LATEST:
        return ""
    return (
        f"{plan.observed.name} has a reserved concurrency of {reserved}: while the old version "
        "still works on its calls, those of the new one may be throttled. A canary is gentler: "
        'strategy = "canary:10:15m" in the environment\'s table of pyproject.toml.'
    )


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
    names = ", ".join(dict.fromkeys(step.name for step in plan.steps))
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
        reporter.emit(Output(WEIGHT, "100"))
    reporter.emit(Output("CodeSha256", function.code_sha256))
    where = f"{function.name}:{ALIAS}" if alias else function.name
    done = f"{where} runs {applied.version} as version {function.version}"
    reporter.emit(Achieved(f"{done}, CodeSha256 {function.code_sha256}"))
