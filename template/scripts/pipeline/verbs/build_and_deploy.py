"""`build --deploy`: a build, pushed, released and deployed at once."""

from __future__ import annotations

from ..core.events import Reporter
from ..edge.machine import Machine
from ..project.project import Project
from .build import BuildOptions, Outcome, build
from .push import Pushed, PushOptions, push
from .release import OctopusOptions, Released, look_up, refuse_unfit_build, release_package


def build_and_deploy(
    project: Project, options: BuildOptions, feed: PushOptions, octopus: OctopusOptions,
    machine: Machine, reporter: Reporter,
) -> tuple[Outcome, Pushed, Released]:  # fmt: skip
    """Build, push, make the releases, and deploy them.

    Raises PipelineError before anything is built where Octopus has not everything that is named,
    and before anything is pushed for a build that is not fit for a permanent environment.
    """
    destination = look_up(project, project.package_id, octopus, machine.environ, reporter)
    outcome = build(project, options, machine, reporter)
    refuse_unfit_build(project, destination, octopus, machine.environ)
    package = outcome.latest.package_path(project.root)
    pushed = push(project, package, feed, machine.environ, reporter, destination.octopus)
    released = release_package(project, package, octopus, machine, reporter, destination)
    return outcome, pushed, released
