"""The verb that brings a package to an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke import Context, task

from .flags import COMMON
from .local import started
from .session import Session, root_of, session

if TYPE_CHECKING:
    from pathlib import Path

    from ..values.project import Environment

__all__ = ["deploy"]


@task(
    help={
        "environment": "Where to: an environment of pyproject.toml in any case, or `local`",
        "package": "The package; the last build's by default",
        "dry-run": "Show what would change, change nothing",
        "allow-dirty": "Deploy a dirty or unverified build to a permanent environment all the same",
        **COMMON,
    }
)
def deploy(
    c: Context, environment: str, package: str | None = None, dry_run: bool = False,
    allow_dirty: bool = False, json: bool = False, verbose: bool = False,
) -> None:  # fmt: skip
    """Run a package's own deploy script against an environment, as an Octopus worker would."""
    from ..local.state import LocalAws
    from ..values.credentials import Credentials
    from ..verbs.deliver import Delivery, Place, deliver, worker_credentials

    with session(root_of(c), json=json, verbose=verbose) as run:
        target = run.project.environment(environment)
        chosen = _chosen(run, target, package, allow_dirty=allow_dirty)
        environ = dict(run.machine.environ)
        if target.is_local:
            aws: LocalAws = started(run).aws
            environ.update(aws.environment())
            place = Place(Credentials.from_environment(aws.environment()), environ)
        else:
            place = Place(worker_credentials(target, environ), environ)
        done = deliver(
            run.project, Delivery(chosen, target, dry_run), place, run.machine, run.reporter
        )
        run.answer = {
            "environment": done.environment, "function": done.function, "version": done.version,
            "dry_run": dry_run, "outputs": dict(done.outputs),
        }  # fmt: skip


def _chosen(run: Session, target: Environment, package: str | None, *, allow_dirty: bool) -> Path:
    from ..verbs.build import BuildOptions, build, is_stale, last_build
    from ..verbs.deliver import refuse_unfit
    from ..verbs.packages import chosen_package

    if package:
        return chosen_package(package, run.machine)
    latest = last_build(run.machine)
    if target.is_local:
        if latest is None or is_stale(latest, run.machine):
            latest = build(run.project, BuildOptions(), run.machine, run.reporter).latest
    else:
        latest = refuse_unfit(target, run.machine, allow_dirty=allow_dirty)
    return latest.package_path(run.root)
