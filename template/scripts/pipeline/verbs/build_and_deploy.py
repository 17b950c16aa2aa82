"""`build --deploy`: a build, pushed, released and deployed at once."""

from __future__ import annotations

from ..core.errors import UsageError
from ..core.events import Reporter
from ..edge.machine import Machine
from ..project.project import Project
from .build import BuildOptions, Outcome, build
from .push import Pushed, PushOptions, push
from .release import OctopusOptions, Released, deploy_build


def build_and_deploy(
    project: Project, options: BuildOptions, feed: PushOptions, octopus: OctopusOptions,
    machine: Machine, reporter: Reporter,
) -> tuple[Outcome, Pushed, Released]:  # fmt: skip
    """Build, push, make the releases, and deploy them.

    Raises UsageError before anything is built where Octopus's address or key is not set.
    """
    if octopus.access.missing:
        raise UsageError(
            "build --deploy", f"{octopus.access.missing} not set", "Set it in the environment."
        )
    outcome = build(project, options, machine, reporter)
    package = outcome.latest.package_path(project.root)
    pushed = push(project, package, feed, machine.environ, reporter)
    released = deploy_build(project, outcome.latest, octopus, machine, reporter)
    return outcome, pushed, released
