"""`rollback`: the alias points to an earlier release again, with its code and its settings."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from ..core.errors import Conflict, Interrupted, PipelineError
from ..core.events import Reporter
from ..core.lambda_limits import DESCRIPTION_LIMIT
from ..deploy.apply import apply
from ..deploy.observe import Wait, observe, published_versions, read_alias, settled
from ..deploy.plan import Plan
from ..deploy.releases import earlier_release, moved, releases
from .which_function import Place, caller


@dataclass(frozen=True)
class RolledBack:
    """A rollback: the release that served, the one that serves now, and Lambda's version of it."""

    environment: str
    function: str
    before: str
    version: str
    commit: str
    function_version: str
    changed: bool


def rollback(
    place: Place,
    to: str,
    reason: str,
    now: datetime,
    reporter: Reporter,
    wait: Wait = Wait(time.sleep, time.monotonic),  # noqa: B008 - frozen
) -> RolledBack:
    """Let the alias point to the release `to`, a package's version or commit, or the one before.

    One call moves the traffic; who, when and why are kept in the alias's description. Raises
    UsageError for a bare number, PipelineError for a release that is not there, Conflict when
    somebody else moves the alias meanwhile, Interrupted where somebody asked to stop.
    """
    where, name = f"rollback {place.environment.name}", place.function
    functions = place.connection.functions
    with reporter.stage("plan") as stage:
        observed, alias = observe(functions, name), read_alias(functions, name)
        if alias is None:
            then = "Deploy the earlier package again; that also says which lines the stack needs."
            raise PipelineError(where, f"{name} has no alias live, which could be moved", then)
        known = releases(published_versions(functions, name))
        # What a part of the calls goes to is what is taken back.
        tried = next(iter(alias.weights), alias.version)
        serving = next((one for one in known if one.function.version == tried), None)
        chosen = earlier_release(known, alias, to, where)
        # It is there and ready: what it needs, like a network, may be gone.
        settled(functions, name, wait, stage, chosen.function.version)
        before = serving.version if serving else f"version {tried}"
        description = f"rollback from {before}, {moved(now, caller(place))}"
        # What is read back is one line.
        reason = " ".join(reason.split())
        description = f"{description}: {reason}".removesuffix(": ")[:DESCRIPTION_LIMIT]
        plan = Plan.back_to(chosen.function, observed, alias, description)
        stage.text = str(plan.changes[0]) if plan.changes else f"{chosen} serves already"
    try:
        apply(plan, b"", place.connection, reporter, wait)
    except Conflict as error:
        what = error.what.replace("this deploy", "this rollback")
        then = "Nothing was changed. Look with `python3 tasks.py status`, then roll back again."
        raise Conflict(where, what, then) from error
    reporter.line(f"{name} serves {chosen}. Data and stack stay as they are.")
    if wait.stopped():
        raise Interrupted(where, "all was done before it could be stopped")
    return RolledBack(
        place.environment.name,
        name,
        before,
        chosen.version,
        chosen.commit,
        chosen.function.version,
        bool(plan.steps),
    )
