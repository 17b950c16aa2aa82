"""`deploy --promote` and `--abort`: a person decides about a canary that is under way."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ..core.errors import Interrupted
from ..core.events import Reporter
from ..core.names import release_in
from ..deploy.apply import apply
from ..deploy.observe import Wait, observe
from ..deploy.planning import plan_end
from .which_function import Place


@dataclass(frozen=True)
class CanaryEnded:
    """A canary that was promoted or aborted: the release that serves all calls now."""

    environment: str
    function: str
    version: str
    commit: str
    function_version: str


def end_canary(
    place: Place,
    word: str,
    reporter: Reporter,
    wait: Wait = Wait(time.sleep, time.monotonic),  # noqa: B008 - frozen
) -> CanaryEnded:
    """Give all calls to the canary's version, or none; `word` is PROMOTE or ABORT.

    Raises PipelineError where no canary is under way, Conflict when somebody else moves the
    alias, Interrupted where somebody asked to stop.
    """
    where, connection = f"deploy {place.environment.name}", place.connection
    with reporter.stage("plan") as stage:
        plan = plan_end(word, observe(connection.functions, place.function), connection, where)
        stage.text = str(plan.changes[0])
    serving = apply(plan, b"", connection, reporter, wait)
    version, commit = release_in(serving.description)
    reporter.line(f"{place.function} serves {version or 'no release of ours'} to all calls")
    if wait.stopped():
        raise Interrupted(where, "all was done before it could be stopped")
    return CanaryEnded(place.environment.name, place.function, version, commit, serving.version)
