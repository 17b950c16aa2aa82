"""Planning the deploy of an unpacked package: all is read and checked, nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..core.errors import PipelineError
from ..core.events import Reporter
from ..core.manifest import BUCKET, KEEP_VERSIONS, Manifest
from ..core.names import FUNCTION_ZIP, LATEST, release_in, resource_name
from ..core.templates import resolve
from ..core.text import counted, readable_size
from .aws_session import Connect, Connection
from .hooks import load_hooks
from .observe import Observed, Wait, published_versions, read_alias, settled
from .plan import COMMIT_TAG, PACKAGE_TAG, RELEASE_TAG, Bucket, Later, Of, Plan, Wanted
from .plan_data import as_data
from .releases import TOOK_BACK, moved, taken_back
from .smoke import SMOKE_FOLDER, smoke_tests
from .traffic import (
    ABORT,
    PROMOTE,
    STRATEGY_VARIABLE,
    Rollout,
    Strategy,
    canary_in,
    ended,
    refuse_canary,
    refuse_other,
)
from .triggers import off_the_alias
from .unpacked import Unpacked
from .verdict import refuse_unreadable
from .worker import WorkerContext

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


@dataclass(frozen=True)
class Planned:
    """A deploy that is ready: the plan, also as `data`, and all that applying it needs."""

    where: str
    environment: str
    package: Unpacked
    code: bytes
    hooks: Callable[[str, object], None]
    connection: Connection
    plan: Plan
    data: Mapping[str, Any]
    keep_versions: int


def planned(
    folder: Path, context: WorkerContext, reporter: Reporter, connect: Connect, wait: Wait
) -> Planned:
    """Check the package in `folder`, look at the function of the context's environment, and plan.

    Raises PipelineError for a package, variables or a function that cannot be deployed.
    """
    package = Unpacked.read(folder)
    manifest, environment = package.manifest, package.declared(context.environment)
    place = context.place(manifest.environments.get(environment, {}))
    where = f"deploy {environment}".rstrip()
    templates = manifest.function.templates()
    values = resolve(templates, context.variables, where=where, missing=context.missing(place))
    bucket = _bucket(manifest, values.pop(BUCKET))
    name = context.function or resource_name(environment, manifest.function.name)
    # Who promotes a canary has judged already.
    rollout = Rollout() if context.traffic else Rollout.read(place)
    if context.strategy and not context.traffic:
        strategy = Strategy.parse(context.strategy, STRATEGY_VARIABLE)
        rollout = replace(rollout, strategy=strategy)
    reporter.line(f"{manifest.package_id} {manifest.version} to {name} ({environment})")
    with reporter.stage("check") as stage:
        code = package.code(where)
        smoke = smoke_tests(folder / SMOKE_FOLDER)
        # Taking a canary back is no deploy of this package: a folder is no hooks file.
        hooks = load_hooks(folder if context.traffic == ABORT else package.hooks)
        stage.text = f"{FUNCTION_ZIP} {readable_size(len(code))}, the bytes that were built"
    with reporter.stage("plan") as stage:
        connection = connect(context.credentials, place)
        connection = replace(connection, caller=context.who or connection.caller)
        functions = connection.functions
        found = settled(functions, name, wait, stage)
        versions = tuple(published_versions(functions, name))
        if context.traffic == ABORT:
            plan = plan_end(ABORT, found, connection, where)
        else:
            plan = Plan.between(
                found,
                Wanted.from_manifest(manifest, values, context.release, context.plain),
                bucket,
                alias=read_alias(functions, name),
                versions=versions,
                smoke=smoke,
                rollout=rollout,
            )
        if plan.made and plan.steps:
            # A worker may have died before it was ready; the list of versions has no states.
            settled(functions, name, wait, stage, plan.made.version)
        if context.traffic == PROMOTE:
            refuse_other(plan.made, ended(PROMOTE, plan.alias, versions, where)[0], where)
        red: list[str] = []
        if plan.canary and plan.alias:
            red = refuse_canary(plan.canary, plan.alias, plan.made or found, connection, where)
            refuse_unreadable(connection, name, plan.alias.version)
        data = as_data(plan, versions, package, context, red)
        stage.text = _summary(plan)
    for warning in (_events_warning(plan, functions), _switch_warning(plan)):
        if warning:
            reporter.warn(warning)
    keep = int(place.get(KEEP_VERSIONS) or 0)
    return Planned(where, environment, package, code, hooks, connection, plan, data, keep)


def plan_end(word: str, observed: Observed, connection: Connection, where: str) -> Plan:
    """Plan to end the canary that is under way: all calls to its version, or none.

    `word` is PROMOTE or ABORT. Raises PipelineError where no canary is under way.
    """
    functions, name = connection.functions, observed.name
    to, alias = ended(word, read_alias(functions, name), published_versions(functions, name), where)
    if word == PROMOTE:
        return Plan.back_to(to, observed, alias, Later.MOVED, _tags(to, observed))
    when = moved(connection.now(), connection.caller)
    description = taken_back(TOOK_BACK, canary_in(alias)[0] or "a canary", when)
    return Plan.back_to(to, observed, alias, description)


def _tags(to: Observed, observed: Observed) -> Mapping[str, str]:
    """Return what the deploy of a release would have left, as far as its version tells that."""
    package = (observed.tags or {}).get(PACKAGE_TAG, "").partition(" ")[0]
    version, commit = release_in(to.description)
    if not package or not version:
        return {}
    return {PACKAGE_TAG: f"{package} {version}", RELEASE_TAG: version, COMMIT_TAG: commit}


def _bucket(manifest: Manifest, name: str) -> Bucket | None:
    """Return where the zip goes: `name` may have a prefix after its bucket."""
    if not name:
        return None
    bucket, _, prefix = name.partition("/")
    # Named by its content: deploying again what is there already changes nothing.
    parts = (prefix.strip("/"), manifest.package_id, f"{manifest.function_zip.sha256}.zip")
    return Bucket(bucket, "/".join(filter(None, parts)))


def _summary(plan: Plan) -> str:
    count = len(plan.changes)
    if not plan.steps:
        return "nothing to change: the function is as the package has it"
    names = ", ".join(dict.fromkeys(step.name for step in plan.steps))
    return f"{counted(count, 'change')}: {names}"


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


def _switch_warning(plan: Plan) -> str:
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
