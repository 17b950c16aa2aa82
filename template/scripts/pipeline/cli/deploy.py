"""The verbs of an environment: deploy, and for the embedded AWS local.start and local.stop."""

from __future__ import annotations

import json as json_format
from typing import TYPE_CHECKING

from invoke import Context, task

from .session import COMMON, Session, root_of, session

if TYPE_CHECKING:
    from ..verbs.local import Started


@task(
    help={
        "environment": "Where to: an environment of pyproject.toml in any case, or `local`",
        "package": "The package; the last build's by default",
        "dry-run": "Show what would change, change nothing",
        "print-policy": "Show the IAM policy that this deploy needs, change nothing",
        "allow-dirty": "Deploy a dirty or unverified build to a permanent environment all the same",
        **COMMON,
    }
)
def deploy(
    c: Context, environment: str, package: str | None = None, dry_run: bool = False,
    print_policy: bool = False, allow_dirty: bool = False, json: bool = False,
    verbose: bool = False,
) -> None:  # fmt: skip
    """Run a package's own deploy script against an environment, as an Octopus worker would."""
    from ..deploy.aws_session import Credentials
    from ..package.reader import Package
    from ..verbs.deploy_here import Delivery, deliver, refuse_unfit, worker_credentials
    from ..verbs.which_package import fresh_package

    with session(root_of(c), json=json, verbose=verbose) as run:
        target = run.project.environment(environment)
        if package or target.is_local:
            chosen = fresh_package(run.project, package, run.machine, run.reporter)
        else:
            latest = refuse_unfit(target, run.machine, allow_dirty=allow_dirty)
            chosen = latest.package_path(run.root)
        # A damaged package is refused before anything is started for it.
        opened = Package.open(chosen)
        opened.own_manifest()
        environ = dict(run.machine.environ)
        if target.is_local:
            there = _started(run).aws.environment()
            environ.update(there)
            credentials = Credentials.from_environment(there)
        else:
            credentials = worker_credentials(target, environ)
        delivery = Delivery(opened, target, dry_run, credentials, environ, print_policy)
        done = deliver(run.project, delivery, run.machine, run.reporter)
        answer = {
            "environment": done.environment, "function": done.function, "version": done.version,
            "dry_run": dry_run, "outputs": dict(done.outputs),
        }  # fmt: skip
        if print_policy:
            run.result(done.outputs["Policy"], json_format.loads(done.outputs["Policy"]))
        else:
            run.answer = answer


@task(help=COMMON)
def start(c: Context, json: bool = False, verbose: bool = False) -> None:
    """Start the embedded AWS in the background, with the project's stack in it."""
    with session(root_of(c), json=json, verbose=verbose) as run:
        there = _started(run)
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


def _started(run: Session) -> Started:
    """Start the embedded AWS for a session's project, or return the one that runs."""
    from ..function.python.interpreter import local_runtime
    from ..local.background import Background
    from ..project.project import LOCAL_ENVIRONMENT
    from ..verbs.local import start_local, state_file

    run.machine.tooling("local")
    function = run.project.function
    wanted = Background(
        state=state_file(run.root),
        runtimes={function.runtime.name: local_runtime(function, run.machine, run.reporter)},
        environ=run.machine.environ,
        region=run.project.environment(LOCAL_ENVIRONMENT).region or "us-east-1",
        cache=run.machine.cache,
    )
    return start_local(run.project, wanted, run.reporter)
