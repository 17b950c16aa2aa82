"""`rollback`, and `deploy --promote` and `--abort`: a person decides which release serves.

The alias moves to a version that is there, with its code and its settings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from ..core.errors import Conflict, Interrupted, PipelineError
from ..core.events import Reporter
from ..core.names import release_in
from ..deploy.apply import GO_ON, LOOK, apply
from ..deploy.observe import Wait, observe, published_versions, read_alias, settled
from ..deploy.plan import Plan
from ..deploy.planning import plan_end
from ..deploy.releases import ROLLED_BACK, earlier_release, moved, releases, taken_back
from .which_function import Place, caller


@dataclass(frozen=True)
class Serves:
    """The release that serves all calls now, and Lambda's version of it."""

    environment: str
    function: str
    version: str
    commit: str
    function_version: str


@dataclass(frozen=True)
class RolledBack(Serves):
    """A rollback: the release that served before, and whether that is another one."""

    before: str
    changed: bool


def rollback(
    place: Place,
    to: str,
    reason: str,
    now: datetime,
    reporter: Reporter,
    wait: Wait = Wait(),  # noqa: B008 - frozen
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
        description = taken_back(ROLLED_BACK, before, moved(now, caller(place)), reason)
        plan = Plan.back_to(chosen.function, observed, alias, description)
        stage.text = str(plan.changes[0]) if plan.changes else f"{chosen} serves already"
    serves = _carried_out(plan, place, "rollback", where, reporter, wait)
    return RolledBack(**vars(serves), before=before, changed=bool(plan.steps))


def end_canary(
    place: Place,
    word: str,
    reporter: Reporter,
    wait: Wait = Wait(),  # noqa: B008 - frozen
) -> Serves:
    """Give all calls to the canary's version, or none; `word` is PROMOTE or ABORT.

    Raises PipelineError where no canary is under way, Conflict when somebody else moves the
    alias, Interrupted where somebody asked to stop.
    """
    where = f"deploy {place.environment.name}"
    place = replace(place, connection=replace(place.connection, caller=caller(place)))
    with reporter.stage("plan") as stage:
        observed = observe(place.connection.functions, place.function)
        plan = plan_end(word, observed, place.connection, where)
        stage.text = str(plan.changes[0])
    return _carried_out(plan, place, f"--{word}", where, reporter, wait)


def _carried_out(
    plan: Plan, place: Place, name: str, where: str, reporter: Reporter, wait: Wait
) -> Serves:
    """Apply a plan that moves the alias; what ends it is told of what it is, `name`: no deploy."""
    try:
        made = apply(plan, b"", place.connection, reporter, wait)
    except (Conflict, Interrupted) as error:
        again = f"Look with `python3 tasks.py status`, then ask for the {name} again."
        then = error.then.replace(LOOK, again).replace(GO_ON, again)
        raise type(error)(where, error.what.replace("this deploy", f"this {name}"), then) from error
    version, commit = release_in(made.description)
    release = f"{version} ({commit}, version {made.version})" if version else made.version
    reporter.line(f"{place.function} serves {release}. Data and stack stay as they are.")
    if wait.stopped():
        raise Interrupted(where, "all was done before it could be stopped")
    return Serves(place.environment.name, place.function, version, commit, made.version)
