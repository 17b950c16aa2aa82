"""The verbs of the embedded AWS: local.start, local.stop."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from invoke import Collection, Context, task

from .flags import COMMON
from .session import Session, root_of, session

if TYPE_CHECKING:
    from ..verbs.local import Started

__all__ = ["started", "verbs"]


def verbs() -> Collection:
    """Return the verbs, to be added under the name `local`."""
    return Collection(start, stop)


@task(help=COMMON)
def start(c: Context, json: bool = False, verbose: bool = False) -> None:
    """Start the embedded AWS in the background, with the project's stack in it."""
    with session(root_of(c), json=json, verbose=verbose) as run:
        there = started(run)
        run.reporter.line(f"  local     embedded AWS on {there.aws.endpoint}")
        for name, value in there.outputs.items():
            run.reporter.line(f"            {name:<14}{value}")
        run.answer = {
            "endpoint": there.aws.endpoint, "region": there.aws.region, "stack": there.stack,
            "outputs": dict(there.outputs), "log": there.aws.log,
        }  # fmt: skip


@task(help=COMMON)
def stop(c: Context, json: bool = False, verbose: bool = False) -> None:
    """Stop the embedded AWS and forget what is in it."""
    from ..verbs.local import stop_local

    with session(root_of(c), json=json, verbose=verbose) as run:
        run.answer = {"stopped": stop_local(run.project, run.reporter)}


def started(run: Session) -> Started:
    """Start the embedded AWS for a session's project, or return the one that runs."""
    from ..values.environments import LOCAL_ENVIRONMENT
    from ..verbs.interpreter import local_runtime
    from ..verbs.local import LocalTools, start_local

    run.machine.tooling("local")
    function = run.project.function
    tools = LocalTools(
        environ=run.machine.environ,
        python=Path(sys.executable),
        runtimes={function.runtime.name: local_runtime(function, run.machine, run.reporter)},
        region=run.project.environment(LOCAL_ENVIRONMENT).region or "us-east-1",
    )
    return start_local(run.project, tools, run.reporter)
