"""The deploy of an unpacked package: what Octopus runs on a worker, and `deploy` here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.errors import Conflict, Interrupted, PipelineError
from ..core.events import Achieved, Artifact, Failed, Output, Reporter
from ..core.masking import hiding, masked
from ..core.names import ALIAS, release_in
from ..core.text import line_sink
from .apply import GO_ON, apply
from .aws_session import Connect, connect
from .observe import Wait
from .old_versions import old_versions, remove, rights
from .plan import WEIGHT, Applied, Plan
from .plan_data import as_json, refuse_moved
from .plan_screen import as_lines
from .planning import Planned, planned
from .policy import policy
from .stop import Stop
from .traffic import decide
from .verdict import Held
from .worker import WorkerContext
from .worker_log import octopus_lines

# Outputs of a dry run: how many changes it found, and the plan as JSON.
CHANGES, PLAN = "Changes", "Plan"
# The plan as an artifact of the deployment.
PLAN_FILE = "deploy-plan.json"


def run_on_worker(
    package: Path,
    script: Mapping[str, Any],
    environ: Mapping[str, str],
    write: Callable[[str], None],
    stop: Stop,
) -> int:
    """Deploy the package in the folder `package`, and return the exit code.

    `script` are the globals of the main script, where Octopus puts its variables; `write` takes
    the lines of standard output; `stop` hears when to stop. A bug is reported as the result, and
    raised.
    """
    sink = line_sink(write, octopus_lines)
    try:
        context = WorkerContext.from_globals(script, environ)
        sink = masked(sink, context.secrets)
        wait = Wait(stopped=stop)
        deploy(package, context, Reporter(sink, time.monotonic), wait=wait)
    except (PipelineError, KeyboardInterrupt) as error:
        what = "stopped in the middle of a step: how far AWS came with it is not known"
        stopped = Interrupted("deploy", what, GO_ON)
        known = error if isinstance(error, PipelineError) else stopped
        sink(Failed("", known))
        return known.exit_code
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
    wait: Wait = Wait(),  # noqa: B008 - frozen
) -> Applied:
    """Bring the function of the context's environment to what the package holds.

    Plans, shows the plan, runs the package's hooks, applies, and tells later steps the version, the
    function's ARN and its CodeSha256. A dry run ends after the plan. Deploying again what is there
    already changes nothing. Raises Conflict, before anything is written, where the context has a
    saved plan that is not the one made now.
    """
    ready = planned(package, context, reporter, connect, wait)
    plan, screen = ready.plan, as_lines(ready.data)
    # Of a canary that is taken back it is not the package's.
    version = release_in(plan.wanted.description)[0] or ready.package.manifest.version
    with hiding(_environment_values(plan, screen), reporter) as quiet:
        arn, caller = plan.observed.arn, ready.connection.caller
        quiet.line(f"{arn} {caller}".rstrip(), verbose=True)
        for line in screen:
            quiet.line(line)
        applied = Applied(version, ready.environment, plan, plan.observed, ())
        if context.print_policy:
            afterwards = rights(plan.observed.arn) if ready.keep_versions else ()
            quiet.emit(Output("Policy", policy(plan, afterwards)))
            return applied
        _keep(package.resolve() / PLAN_FILE, ready.data, quiet)
        if context.saved_plan:
            refuse_moved(context.saved_plan, ready.data, ready.where)
        if context.dry_run:
            quiet.emit(Output(CHANGES, str(len(plan.changes))))
            # As it is: a hash could hold what looks like a short secret.
            reporter.emit(Output(PLAN, as_json(ready.data)))
            quiet.line("Dry run: nothing was changed.")
            return applied
        ready.hooks("before_deploy", plan)
        try:
            function = apply(plan, ready.code, ready.connection, quiet, wait)
        except Conflict as error:
            raise Conflict(ready.where, error.what, error.then) from error
        except Held as error:
            raise Held(ready.where, error.what, decide(ready.environment)) from error
        applied = replace(applied, function=function, steps=plan.steps)
        _report_result(applied, quiet)
        ready.hooks("after_deploy", applied)
        if ready.keep_versions:
            _remove_versions(ready, quiet)
    if wait.stopped():
        raise Interrupted(ready.where, "all was done before it could be stopped")
    return applied


def _keep(path: Path, plan: Mapping[str, Any], reporter: Reporter) -> None:
    """Write the plan beside the package, for Octopus to take it; no deploy fails for that."""
    try:
        size = path.write_bytes(as_json(plan).encode())
    except OSError as error:
        reporter.warn(f"{path}: the plan is not kept as an artifact: {error.strerror}")
    else:
        reporter.emit(Artifact(str(path), size))


def _remove_versions(ready: Planned, reporter: Reporter) -> None:
    """Remove old versions. What serves is deployed already: nothing here fails the deploy."""
    functions, name = ready.connection.functions, ready.plan.observed.name
    with reporter.stage("versions") as stage:
        try:
            remove(functions, name, old_versions(functions, name, ready.keep_versions), stage)
        except PipelineError as error:
            stage.text = "old ones stay"
            reporter.warn(f"old versions were not removed: {error.where}: {error.what}")


def _environment_values(plan: Plan, screen: list[str]) -> list[str]:
    """Return the environment's values, ours and others': AWS quotes them in what it refuses.

    What the deploy says of the function itself, like its name, is not a secret.
    """
    observed, wanted = plan.observed, plan.wanted
    public = repr((replace(observed, environment={}), replace(wanted, environment={}), screen))
    values = {*observed.environment.values(), *wanted.environment.values()}
    return sorted(value for value in values if value not in public)


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
    reporter.emit(Achieved(f"{where} runs {applied.version} as version {function.version}"))
    reporter.line(f"CodeSha256 {function.code_sha256}")
