"""`release`: one Octopus release a project, then environment after environment, each tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..core.errors import PipelineError, UsageError
from ..core.events import Achieved, Reporter
from ..edge.http import Http
from ..edge.machine import Machine
from ..function.engine import POST_DEPLOYMENT
from ..octopus.build_information import release_notes
from ..octopus.client import Access, Octopus, connect
from ..octopus.environments import OctopusEnvironment, find_environments
from ..octopus.machines import check_steps, targets_of
from ..octopus.projects import (
    Choice,
    OctopusProject,
    PackageStep,
    find_projects,
    package_steps,
    steps_in,
)
from ..octopus.releases import (
    Release,
    Run,
    Wanted,
    ensure_release,
    find_release,
    start_deployment,
)
from ..octopus.waiting import Patience, interrupted, wait_for
from ..package.contents import Package
from ..project.project import Project
from .build import BuildOptions, Outcome, build
from .last_build import chosen_package, refuse_unfit
from .push import Pushed, PushOptions, push
from .test import run_post_deployment_tests


@dataclass(frozen=True)
class OctopusOptions:
    """What the command line and the environment say of Octopus.

    Without `projects` the ones whose names begin with `prefix` are meant, else the one of
    pyproject.toml. `environments` are in the order of deployment; none means a release alone.
    """

    access: Access
    projects: tuple[str, ...] = ()
    prefix: str = ""
    environments: tuple[str, ...] = ()
    choice: Choice = field(default_factory=Choice)
    patience: Patience = field(default_factory=Patience)
    allow_dirty: bool = False


@dataclass(frozen=True)
class Destination:
    """Where a release goes, as Octopus has it.

    `steps` are those that use the package, by their project's id; each project has some.
    """

    octopus: Octopus
    projects: tuple[OctopusProject, ...]
    environments: tuple[OctopusEnvironment, ...]
    steps: Mapping[str, Sequence[PackageStep]]


@dataclass(frozen=True)
class Released:
    """What was done: the projects with a release, its environments, and those left out.

    `tasks` are the links of the deployments' server tasks.
    """

    version: str
    projects: tuple[str, ...]
    deployed: tuple[str, ...]
    left_out: tuple[str, ...]
    tasks: tuple[str, ...]


def release(
    project: Project, named: str | None, options: OctopusOptions, machine: Machine,
    reporter: Reporter,
) -> Released:  # fmt: skip
    """Release and deploy the named package, or the last build.

    Raises PipelineError for a build that is stale, or not fit for a permanent environment.
    """
    package = chosen_package(named, project.root)
    package_id = Package.open(package).own_manifest().package_id
    destination = look_up(project, package_id, options, machine.environ, reporter)
    if not named:
        _refuse_unfit_build(project, destination, options, machine.environ)
    return release_package(project, package, options, machine, reporter, destination)


def build_and_deploy(
    project: Project, options: BuildOptions, feed: PushOptions, octopus: OctopusOptions,
    machine: Machine, reporter: Reporter,
) -> tuple[Outcome, Pushed, Released]:  # fmt: skip
    """`build --deploy`: build, push, make the releases, and deploy them.

    Raises PipelineError before anything is built where Octopus has not everything that is named,
    and before anything is pushed for a build that is not fit for a permanent environment.
    """
    destination = look_up(project, project.package_id, octopus, machine.environ, reporter)
    outcome = build(project, options, machine, reporter)
    _refuse_unfit_build(project, destination, octopus, machine.environ)
    package = project.root / outcome.latest.package
    pushed = push(project, package, feed, machine.environ, reporter, destination.octopus)
    released = release_package(project, package, octopus, machine, reporter, destination)
    return outcome, pushed, released


def look_up(
    project: Project, package_id: str, options: OctopusOptions, environ: Mapping[str, str],
    reporter: Reporter,
) -> Destination:  # fmt: skip
    """Find everything that the options name, and look whether the package can be deployed there.

    Only reads. Of the environments the first is looked at: a prerelease goes to no other one.
    """
    _refuse_twice(options.environments)
    octopus = connected(options, environ, reporter)
    projects = chosen_projects(octopus, project, options, reporter)
    names = options.environments
    environments = find_environments(octopus, names) if names else []
    _refuse_twice([environment.name for environment in environments])
    steps = {found.id: package_steps(octopus, found, package_id) for found in projects}
    destination = Destination(octopus, tuple(projects), tuple(environments), steps)
    _check_processes(destination, environments[:1])
    return destination


def _refuse_unfit_build(
    project: Project, destination: Destination, options: OctopusOptions, environ: Mapping[str, str]
) -> None:
    """Raise PipelineError for a last build that is stale, or must not go to one of these."""
    wanted = {environment.name.casefold() for environment in destination.environments}
    permanent = [
        environment.name
        for environment in project.environments
        if environment.permanent and environment.name.casefold() in wanted
    ]
    where = f"deploy {permanent[0]}" if permanent else "release"
    refuse_unfit(project, where, environ, verified=bool(permanent) and not options.allow_dirty)


def release_package(
    project: Project, package: Path, options: OctopusOptions, machine: Machine,
    reporter: Reporter, destination: Destination | None = None,
) -> Released:  # fmt: skip
    """Make the releases of a package and deploy them to each environment in turn.

    `destination` is what the options name, where it was looked up already. A prerelease stops after
    the first environment. Raises PipelineError where Octopus refuses, or a deployment or a
    post-deployment test fails; later environments are then not touched.
    """
    manifest = Package.open(package).own_manifest()
    package_id = manifest.package_id
    there = destination or look_up(project, package_id, options, machine.environ, reporter)
    octopus, projects = there.octopus, there.projects
    used, left_out = _until_prerelease(manifest.version, there.environments, reporter)
    _check_processes(there, used[1:])
    notes = release_notes(octopus, manifest, project.git, machine.environ)
    wanted = Wanted(package_id, manifest.version, notes)
    releases = []
    for octopus_project in projects:
        with reporter.stage("release") as stage:
            made = ensure_release(octopus, octopus_project, wanted)
            already = "" if made.created else ", there already with the same package"
            stage.text = f"{octopus_project.name} {made.version}{already}"
        releases.append(made)
    tasks: list[str] = []
    for environment in used:
        tasks += _deploy(octopus, releases, environment, options.patience, reporter)
        if (project.root / POST_DEPLOYMENT).is_dir():
            is_last = environment is used[-1] and not left_out
            with reporter.stage(f"test {environment.name}") as stage:
                outcome = run_post_deployment_tests(project, environment.name, machine, reporter)
                stage.text = f"{outcome}, post-deployment" + ("" if is_last else "; on to the next")
    if used:
        reporter.emit(Achieved(f"Deployed ({', '.join(item.name for item in used)})"))
    return Released(
        manifest.version,
        tuple(release.project.name for release in releases),
        tuple(environment.name for environment in used),
        tuple(environment.name for environment in left_out),
        tuple(tasks),
    )


def deploy_release(
    destination: Destination, version: str, options: OctopusOptions, reporter: Reporter
) -> bool:
    """Deploy the releases of that version which are there; False where a project has none."""
    found = [find_release(destination.octopus, one, version) for one in destination.projects]
    releases = [one for one in found if one]
    if len(releases) < len(found):
        return False
    for environment in destination.environments:
        _deploy(destination.octopus, releases, environment, options.patience, reporter)
    return True


def connected(options: OctopusOptions, environ: Mapping[str, str], reporter: Reporter) -> Octopus:
    """Return the space that the options name. Raises PipelineError as `connect` does."""
    http = Http(environ, sleep=options.patience.sleep, tell=reporter.line)
    return connect(http, options.access, reporter.warn)


def _refuse_twice(names: Sequence[str]) -> None:
    if len({name.casefold() for name in names}) != len(names):
        raise UsageError(
            "--environments", f"{', '.join(names)}: one is named twice", "Name each once."
        )


def _check_processes(destination: Destination, environments: Sequence[OctopusEnvironment]) -> None:
    """Raise PipelineError for a deployment process that could not work in an environment."""
    for project in destination.projects:
        for environment in environments:
            steps = destination.steps[project.id]
            mine = steps_in(project, steps, environment.id, environment.name)
            check_steps(mine, targets_of(destination.octopus, environment), environment.name)


def _deploy(
    octopus: Octopus,
    releases: Sequence[Release],
    environment: OctopusEnvironment,
    patience: Patience,
    reporter: Reporter,
) -> list[str]:
    """Deploy all releases to one environment, wait for all, and return the tasks' links."""
    runs: list[Run] = []
    refusal: PipelineError | None = None
    with reporter.stage(f"deploy {environment.name}") as stage:
        try:
            for release in releases:
                run = start_deployment(octopus, release, environment)
                runs.append(run)
                reporter.line(f"    {run.project}: {run.link}")
        except KeyboardInterrupt:
            raise interrupted(octopus, runs, stage.name) from None
        except PipelineError as error:
            if not runs:
                raise
            # Those that were started already are still waited for.
            reporter.warn(f"{error.what}\nWaiting for what was started before that.")
            refusal = error
        wait_for(octopus, runs, patience, stage, reporter)
        if refusal:
            raise refusal
        stage.text = f"{releases[0].version}, {', '.join(run.project for run in runs)}"
    return [run.link for run in runs]


def chosen_projects(
    octopus: Octopus, project: Project, options: OctopusOptions, reporter: Reporter
) -> list[OctopusProject]:
    """Return the projects that the options or pyproject.toml name; at least one."""
    names, own = options.projects, project.octopus.project
    if names and options.prefix:
        reporter.warn("--projects and --octopus-project-prefix: the list of projects counts")
    if not names and not options.prefix:
        if not own:
            raise UsageError(
                "Octopus projects",
                "none is named",
                "Pass --projects, or set project in pyproject.toml [tool.pipeline.octopus].",
            )
        names = (own,)
    return find_projects(octopus, names, options.prefix, options.choice)


def _until_prerelease(
    version: str, environments: Sequence[OctopusEnvironment], reporter: Reporter
) -> tuple[Sequence[OctopusEnvironment], Sequence[OctopusEnvironment]]:
    """Return the environments that a version goes to, and those that are left out."""
    first, rest = environments[:1], environments[1:]
    if "-" not in version or not rest:
        return environments, []
    reporter.warn(
        f"{version} is a prerelease: it goes to {first[0].name} and stops there; "
        f"{', '.join(env.name for env in rest)} need{'s' if len(rest) == 1 else ''} a build with "
        "a build number and without a prerelease tag"
    )
    return first, rest
