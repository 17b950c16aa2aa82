"""`deploy` from a developer's machine: run the package's own deploy script as a worker does."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import PipelineError
from ..core.events import Artifact, Event, Output, Progressed, Reporter, Sink
from ..core.names import resource_name
from ..core.templates import declared_values
from ..deploy import worker
from ..deploy.aws_session import Credentials
from ..deploy.main import CHANGES, PLAN
from ..deploy.traffic import STRATEGY_VARIABLE, Strategy
from ..edge.files import read_text, reading, write_whole
from ..edge.machine import Machine
from ..edge.pythons import base_python
from ..octopus.launch import Job, launch, worker_variables
from ..package.contents import Package
from ..project.project import Environment, Project
from .build import fresh_package
from .last_build import OUTPUT, chosen_package, refuse_unfit
from .local import next_step, start_for_project


@dataclass(frozen=True)
class DeployOptions:
    """What the command line says of a deploy; without `package` the last build is meant.

    `save_plan` is the file that a plan is written to instead of a deploy, `from_plan` the one whose
    plan is deployed. Without `strategy` the environment's own counts.
    """

    environment: str
    package: str | None = None
    dry_run: bool = False
    print_policy: bool = False
    allow_dirty: bool = False
    save_plan: str = ""
    from_plan: str = ""
    strategy: str = ""

    @property
    def is_dry(self) -> bool:
        """Tell whether the plan is all that is wanted."""
        return self.dry_run or bool(self.save_plan)


@dataclass(frozen=True)
class Deployed:
    """A deploy that was made, or shown; `outputs` are what the script passes to later steps.

    `changes` is how many a dry run found, `plan` what it planned, as `deploy/plan_data.py` has it.
    """

    environment: str
    function: str
    version: str
    dry_run: bool
    outputs: Mapping[str, str]
    changes: int = 0
    plan: Mapping[str, Any] | None = None


def deploy(
    project: Project, options: DeployOptions, machine: Machine, reporter: Reporter
) -> Deployed:
    """Deploy the named package, or the last build, to an environment.

    Raises UsageError without an environment, PipelineError for a build that must not go there,
    and the error that the deploy script ended with.
    """
    if options.strategy:
        Strategy.parse(options.strategy, "--strategy")
    environment = project.environment(options.environment)
    reporter.emit(Progressed("deploy", f"to {environment.name}"))
    if options.package or (environment.is_local and options.from_plan):
        path = chosen_package(options.package, project.root)
    elif environment.is_local:
        path = fresh_package(project, None, machine, reporter)
    else:
        path = refuse_unfit(
            project,
            f"deploy {environment.name}",
            machine.environ,
            verified=environment.permanent and not options.allow_dirty,
            # A saved plan names its package; the files may have changed since, by the plan's own.
            current=not options.from_plan,
        )
    # A damaged package is refused before anything is started for it.
    package = Package.open(path)
    package.own_manifest()
    environ = dict(machine.environ)
    if environment.is_local:
        started = start_for_project(project, machine, reporter, package)
        variables = started.aws.environment()
        environ.update(variables)
        credentials = Credentials.from_environment(variables)
        done = deploy_package(project, package, options, credentials, environ, reporter)
        if not (options.is_dry or options.print_policy):
            reporter.line(f"  next      {next_step(project.root, started)}")
        return done
    credentials = worker_credentials(environment, environ)
    return deploy_package(project, package, options, credentials, environ, reporter)


def deploy_package(
    project: Project, package: Package, options: DeployOptions, credentials: Credentials,
    environ: Mapping[str, str], reporter: Reporter,
) -> Deployed:  # fmt: skip
    """Unpack a package as Octopus does and run its deploy script in a bare Python.

    `environ` has the values of the project's variables, and leads the AWS client to the account.
    Raises the error that the script ended with.
    """
    environment = project.environment(options.environment)
    manifest = package.own_manifest()
    templates = manifest.function.templates()
    values = declared_values(templates, environment.declared(), environ)
    given = {
        worker.DRY_RUN_VARIABLE: str(options.is_dry),
        worker.POLICY_VARIABLE: str(options.print_policy),
        worker.PLAN_VARIABLE: _saved(options.from_plan),
        # What stands in pyproject.toml is no secret.
        worker.PLAIN_VARIABLE: ",".join(environment.variables),
        worker.PACKAGES_VARIABLE: json.dumps(packages_at_hand(project)),
        **({STRATEGY_VARIABLE: options.strategy} if options.strategy else {}),
    }
    outputs: dict[str, str] = {}
    # Until its end a terminal shows that it goes on: the script says only what is done.
    reporter.emit(Progressed("deploy", f"{manifest.version} to {environment.name}"))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / manifest.package_id / manifest.version
        folder.parent.mkdir()
        package.unpack_like_octopus(folder)
        variables = worker_variables(environment.name, manifest.version, {**values, **given})
        job = Job(folder, base_python(), variables, credentials, environ)
        launch(job, Reporter(_collecting(reporter.emit, outputs), reporter.seconds))
    name = resource_name(environment.name, project.function.name)
    changes, plan = int(outputs.pop(CHANGES, "0")), outputs.pop(PLAN, "null")
    if options.save_plan:
        write_whole(Path(options.save_plan), plan.encode())
        verb = f"python3 tasks.py deploy {environment.name} --from-plan {options.save_plan}"
        reporter.line(f"The plan is saved: `{verb}` deploys exactly that, or nothing.")
    return Deployed(
        environment.name, name, manifest.version, options.is_dry, outputs, changes, json.loads(plan)
    )


def _saved(file: str) -> str:
    with reading(file, "Save a plan with `--plan FILE` first."):
        return read_text(Path(file), file) if file else ""


def packages_at_hand(project: Project) -> dict[str, str]:
    """Return the packages that are at hand here, by version: those of builds, of a folder feed."""
    start, end = f"{project.package_id}.", ".nupkg"
    places = (project.root / project.feed, *(project.root / OUTPUT).glob("*"))
    files = [file for place in places for file in place.glob(f"{start}*{end}")]
    return {file.name.removeprefix(start).removesuffix(end): str(file) for file in files}


def worker_credentials(environment: Environment, environ: Mapping[str, str]) -> Credentials:
    """Return the credentials for an environment in AWS.

    They are its profile's, else those in AWS's own variables, else what boto3 finds: the default
    profile, a web identity, a role of this machine. Raises PipelineError where there are none.
    """
    given = Credentials.from_environment(environ)
    if given.key and not environment.profile:
        return given
    import boto3  # noqa: PLC0415 - slow to import
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415

    where, profile = f"environment {environment.name}", environment.profile
    try:
        session = boto3.session.Session(
            profile_name=profile or None, region_name=environment.region or None
        )
        found = session.get_credentials()
        frozen = found.get_frozen_credentials() if found else None
    except BotoCoreError as error:
        then = "Look at ~/.aws/config, or at profile in pyproject.toml."
        raise PipelineError(where, str(error), then) from error
    if frozen is None or not frozen.access_key or not frozen.secret_key:
        raise PipelineError(
            where,
            "there are no AWS credentials" + (f" in {profile!r}" if profile else ""),
            "Log in, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile in "
            f"[tool.pipeline.environments.{environment.name}].",
        )
    return Credentials(
        frozen.access_key, frozen.secret_key, frozen.token or "", session.region_name or ""
    )


def _collecting(sink: Sink, outputs: dict[str, str]) -> Sink:
    def take(event: Event) -> None:
        if isinstance(event, Output):
            outputs[event.name] = event.value
        elif not isinstance(event, Artifact):
            # The unpacked package goes away, and what was written beside it.
            sink(event)

    return take
