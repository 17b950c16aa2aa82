"""The function of an environment, and a connection to where it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..core.errors import PipelineError
from ..core.names import resource_name
from ..deploy.aws_errors import explained_errors
from ..deploy.aws_session import Connect, Connection, Credentials, connect
from ..edge.machine import Machine
from ..local.clients import client
from ..local.state import LocalAws
from ..project.project import Environment, Project
from ..stack.change_set import Stacks
from .deploy_here import worker_credentials
from .local_use import local_aws


@dataclass(frozen=True)
class Place:
    """Where a function is, or belongs: its name, which is its stack's too, and AWS there.

    `credentials` and `environ` are those of a deploy to it; `sleep` takes seconds.
    """

    environment: Environment
    function: str
    connection: Connection
    credentials: Credentials | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    sleep: Callable[[float], None] = time.sleep

    @property
    def clients(self) -> Callable[[str], Any]:
        """Return what gives the client of a service."""
        return self.connection.clients

    @property
    def stacks(self) -> Stacks:
        """Return the stacks there."""
        return Stacks(self.clients("cloudformation"), self.sleep)


def caller(place: Place) -> str:
    """Return who asks, as an ARN; empty where nobody says: the embedded AWS knows no users."""
    connection = place.connection
    if connection.caller or place.environment.is_local:
        return connection.caller
    try:
        with explained_errors("AWS session", "sts:GetCallerIdentity"):
            return str(connection.clients("sts").get_caller_identity()["Arn"])
    except PipelineError:
        return ""


def place_of(project: Project, named: str, machine: Machine, connect: Connect = connect) -> Place:
    """Connect to an environment of the project, in the right account.

    Raises PipelineError for one that is not declared, and where there is no way into it.
    """
    environment = project.environment(named)
    aws = local_aws(project, machine) if environment.is_local else None
    return place_in(aws, project, environment, machine.environ, connect)


def place_in(
    aws: LocalAws | None, project: Project, environment: Environment, environ: Mapping[str, str],
    connect: Connect = connect,
) -> Place:  # fmt: skip
    """Connect to an environment in an embedded AWS, or in its own account without one."""
    name = resource_name(environment.name, project.function.name)
    if aws is None:
        credentials = worker_credentials(environment, environ)
        connection = connect(credentials, environment.place())
        return Place(environment, name, connection, credentials, environ)
    variables, clients = aws.environment(), partial(client, aws)
    connection = Connection(clients("lambda"), clients)
    credentials = Credentials.from_environment(variables)
    return Place(environment, name, connection, credentials, {**environ, **variables})
