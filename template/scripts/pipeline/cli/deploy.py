"""The verb of an environment: deploy."""

from __future__ import annotations

import json
from dataclasses import asdict

from .session import Session, verb


@verb(
    {
        "environment": "Where to: an environment of pyproject.toml in any case, or `local`",
        "package": "The package; the last build's by default",
        "dry-run": "Show what would change, change nothing",
        "print-policy": "Show the IAM policy that this deploy needs, change nothing",
        "allow-dirty": "Deploy a dirty or unverified build to a permanent environment all the same",
    }
)
def deploy(
    run: Session, environment: str = "", package: str | None = None, dry_run: bool = False,
    print_policy: bool = False, allow_dirty: bool = False,
) -> None:  # fmt: skip
    """Run a package's own deploy script against an environment, as an Octopus worker would."""
    from ..verbs.deploy_here import DeployOptions, deploy

    options = DeployOptions(environment, package, dry_run, print_policy, allow_dirty)
    done = deploy(run.project, options, run.machine, run.reporter)
    if print_policy:
        run.result(done.outputs["Policy"], json.loads(done.outputs["Policy"]))
    else:
        run.answer = asdict(done)
