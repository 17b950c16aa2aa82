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
class Released:
    """What was done: the projects with a release, its environments, and those left out.

    `tasks` are the links of the deployments' server tasks.
    """

    version: str
    projects: tuple[str, ...]
    deployed: tuple[str, ...]
    left_out: tuple[str, ...]
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class Destination:
    """Where releases of a package go, as Octopus has it.

    `steps` are those that use the package, by their project's id; each project has some.
    """

    project: Project
    options: OctopusOptions
    reporter: Reporter
    octopus: Octopus
    projects: tuple[OctopusProject, ...]
    environments: tuple[OctopusEnvironment, ...]
    steps: Mapping[str, Sequence[PackageStep]]

    @classmethod
    def look_up(
        cls, project: Project, package_id: str, options: OctopusOptions,
        environ: Mapping[str, str], reporter: Reporter,
    ) -> Destination:  # fmt: skip
        """Find all that the options name, and look whether the package can be deployed there.

        Only reads. Of the environments the first is looked at: a prerelease goes to no other one.
        """
        _refuse_twice(options.environments)
        octopus = connected(options, environ, reporter)
        projects = chosen_projects(octopus, project, options, reporter)
        names = options.environments
        environments = find_environments(octopus, names) if names else []
        _refuse_twice([environment.name for environment in environments])
        steps = {found.id: package_steps(octopus, found, package_id) for found in projects}
        there = cls(
            project, options, reporter, octopus, tuple(projects), tuple(environments), steps
        )
        there._check_processes(environments[:1])
        return there

    def refuse_unfit_build(self, environ: Mapping[str, str]) -> None:
        """Raise PipelineError for a last build that is stale, or must not go to one of these."""
        wanted = {environment.name.casefold() for environment in self.environments}
        permanent = [
            environment.name
            for environment in self.project.environments
            if environment.permanent and environment.name.casefold() in wanted
        ]
        where = f"deploy {permanent[0]}" if permanent else "release"
        verified = bool(permanent) and not self.options.allow_dirty
        refuse_unfit(self.project, where, environ, verified=verified)

    def release(self, package: Path, machine: Machine) -> Released:
        """Make the releases of a package and deploy them to each environment in turn.

        A prerelease stops after the first environment. Raises PipelineError where Octopus refuses,
        or a deployment or a post-deployment test fails; later environments are then not touched.
        """
        project, reporter = self.project, self.reporter
        manifest = Package.open(package).own_manifest()
        used, left_out = _until_prerelease(manifest.version, self.environments, reporter)
        self._check_processes(used[1:])
        notes = release_notes(self.octopus, manifest, project.git, machine.environ)
        wanted = Wanted(manifest.package_id, manifest.version, notes)
        releases = []
        for octopus_project in self.projects:
            with reporter.stage("release") as stage:
                made = ensure_release(self.octopus, octopus_project, wanted)
                already = "" if made.created else ", there already with the same package"
                stage.text = f"{octopus_project.name} {made.version}{already}"
            releases.append(made)
        tasks: list[str] = []
        for environment in used:
            name = environment.name
            tasks += self._deploy(releases, environment)
            if (project.root / POST_DEPLOYMENT).is_dir():
                is_last = environment is used[-1] and not left_out
                with reporter.stage(f"test {name}") as stage:
                    outcome = run_post_deployment_tests(project, name, machine, reporter)
                    on = "" if is_last else "; on to the next"
                    stage.text = f"{outcome}, post-deployment{on}"
        if used:
            reporter.emit(Achieved(f"Deployed ({', '.join(item.name for item in used)})"))
        return Released(
            manifest.version,
            tuple(release.project.name for release in releases),
            tuple(environment.name for environment in used),
            tuple(environment.name for environment in left_out),
            tuple(tasks),
        )

    def deploy_again(self, version: str) -> bool:
        """Deploy the releases of that version which are there; False where a project has none."""
        found = [find_release(self.octopus, one, version) for one in self.projects]
        releases = [one for one in found if one]
        if len(releases) < len(found):
            return False
        for environment in self.environments:
            self._deploy(releases, environment)
        return True

    def _check_processes(self, environments: Sequence[OctopusEnvironment]) -> None:
        """Raise PipelineError for a deployment process that could not work in an environment."""
        for project in self.projects:
            for environment in environments:
                steps = self.steps[project.id]
                mine = steps_in(project, steps, environment.id, environment.name)
                check_steps(mine, targets_of(self.octopus, environment), environment.name)

    def _deploy(self, releases: list[Release], environment: OctopusEnvironment) -> list[str]:
        """Deploy all releases to one environment, wait for all, and return the tasks' links."""
        octopus, reporter = self.octopus, self.reporter
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
            wait_for(octopus, runs, self.options.patience, stage, reporter)
            if refusal:
                raise refusal
            stage.text = f"{releases[0].version}, {', '.join(run.project for run in runs)}"
        return [run.link for run in runs]


def release(
    project: Project, named: str | None, options: OctopusOptions, machine: Machine,
    reporter: Reporter,
) -> Released:  # fmt: skip
    """Release and deploy the named package, or the last build, as `Destination.release` does.

    Raises PipelineError for a build that is stale, or not fit for a permanent environment.
    """
    package = chosen_package(named, project.root)
    package_id = Package.open(package).own_manifest().package_id
    there = Destination.look_up(project, package_id, options, machine.environ, reporter)
    if not named:
        there.refuse_unfit_build(machine.environ)
    return there.release(package, machine)


def build_and_deploy(
    project: Project, options: BuildOptions, feed: PushOptions, octopus: OctopusOptions,
    machine: Machine, reporter: Reporter,
) -> tuple[Outcome, Pushed, Released]:  # fmt: skip
    """`build --deploy`: build, push, make the releases, and deploy them.

    Raises PipelineError before anything is built where Octopus has not everything that is named,
    and before anything is pushed for a build that is not fit for a permanent environment.
    """
    environ = machine.environ
    there = Destination.look_up(project, project.package_id, octopus, environ, reporter)
    outcome = build(project, options, machine, reporter)
    there.refuse_unfit_build(environ)
    package = project.root / outcome.latest.package
    pushed = push(project, package, feed, environ, reporter, there.octopus)
    return outcome, pushed, there.release(package, machine)


def connected(options: OctopusOptions, environ: Mapping[str, str], reporter: Reporter) -> Octopus:
    """Return the space that the options name. Raises PipelineError as `connect` does."""
    http = Http(environ, sleep=options.patience.sleep, tell=reporter.line)
    return connect(http, options.access, reporter.warn)


def _refuse_twice(names: Sequence[str]) -> None:
    if len({name.casefold() for name in names}) != len(names):
        raise UsageError(
            "--environments", f"{', '.join(names)}: one is named twice", "Name each once."
        )


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
