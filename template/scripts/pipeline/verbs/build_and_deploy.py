"""`build --deploy`: a build, pushed, released and deployed at once."""

from __future__ import annotations

from ..core.events import Reporter
from ..edge.machine import Machine
from ..project.project import Project
from .build import BuildOptions, Outcome, build
from .push import Pushed, PushOptions, push
from .release import OctopusOptions, Released, connected, deploy_build


def build_and_deploy(
    project: Project, options: BuildOptions, feed: PushOptions, octopus: OctopusOptions,
    machine: Machine, reporter: Reporter,
) -> tuple[Outcome, Pushed, Released]:  # fmt: skip
    """Build, push, make the releases, and deploy them.

    Raises PipelineError before anything is built where Octopus's address or key is not set.
    """
    octopus.access.check()
    outcome = build(project, options, machine, reporter)
    package = outcome.latest.package_path(project.root)
    space = connected(octopus, machine.environ, reporter)
    pushed = push(project, package, feed, machine.environ, reporter, space)
    released = deploy_build(project, outcome.latest, octopus, machine, reporter, space)
    return outcome, pushed, released
