"""`deploy` from a developer's machine: the package's own deploy script, run as a worker runs it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import PipelineError
from ..core.events import Event, Output, Reporter, Sink
from ..core.names import resource_name
from ..core.templates import declared_values
from ..deploy.aws_session import Credentials
from ..edge.machine import Machine
from ..edge.pythons import base_python
from ..octopus.launch import Job, launch, worker_variables
from ..package.reader import Package
from ..project.last_build import Latest
from ..project.project import Environment, Project
from .build import is_stale, last_build


@dataclass(frozen=True)
class Delivery:
    """A deploy to make: the package, the environment, and whether it only shows its plan or policy.

    `environ` are the variables that lead the AWS client there.
    """

    package: Package
    environment: Environment
    dry_run: bool
    credentials: Credentials
    environ: Mapping[str, str]
    print_policy: bool = False


@dataclass(frozen=True)
class Delivered:
    """A deploy that was made; `outputs` are what the script told later steps."""

    function: str
    environment: str
    version: str
    outputs: Mapping[str, str]


def deliver(
    project: Project, delivery: Delivery, machine: Machine, reporter: Reporter
) -> Delivered:
    """Unpack the package as Octopus does and run its deploy script in a bare Python.

    Raises the error that the script ended with.
    """
    manifest = delivery.package.own_manifest()
    environment = delivery.environment
    templates = manifest.function.templates()
    values = declared_values(templates, environment.declared(), machine.environ)
    outputs: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / manifest.package_id / manifest.version
        folder.parent.mkdir()
        delivery.package.unpack_like_octopus(folder)
        job = Job(
            package=folder,
            python=base_python(),
            variables=worker_variables(
                environment.name,
                manifest.version,
                values,
                dry_run=delivery.dry_run,
                print_policy=delivery.print_policy,
            ),
            credentials=delivery.credentials,
            environ=delivery.environ,
        )
        launch(job, Reporter(_collecting(reporter.emit, outputs), reporter.seconds))
    name = resource_name(environment.name, project.function.name)
    return Delivered(name, environment.name, manifest.version, outputs)


def refuse_unfit(environment: Environment, machine: Machine, *, allow_dirty: bool) -> Latest:
    """Return the last build, or say why it must not be deployed to this environment."""
    latest = last_build(machine)
    where = f"deploy {environment.name}"
    if latest is None:
        raise PipelineError(
            where, "nothing has been built here yet", "Run `python3 tasks.py build`."
        )
    if is_stale(latest, machine):
        raise PipelineError(
            where,
            f"the files have changed since {latest.version} was built",
            "Run `python3 tasks.py build`, or name a package with --package.",
        )
    if environment.permanent and not allow_dirty and not latest.verified:
        raise PipelineError(
            where,
            f"{latest.version} is not verified: {latest.why_not}",
            "Commit and build again, or pass --allow-dirty if you know what you are doing.",
        )
    return latest


def worker_credentials(environment: Environment, environ: Mapping[str, str]) -> Credentials:
    """Return the credentials for an environment in AWS.

    Its profile's; else those in AWS's own variables; else what boto3 finds where it looks:
    the default profile, a web identity, a role of this machine.
    """
    given = Credentials.from_environment(environ)
    if given.key and not environment.profile:
        return given
    import boto3  # noqa: PLC0415 - slow to import
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415

    where, profile = f"deploy {environment.name}", environment.profile
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
    def passes_on(event: Event) -> None:
        if isinstance(event, Output):
            outputs[event.name] = event.value
        else:
            sink(event)

    return passes_on
