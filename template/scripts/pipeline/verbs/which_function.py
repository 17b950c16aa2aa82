"""The function of an environment, and a connection to where it is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ..core.errors import PipelineError
from ..core.names import resource_name
from ..deploy.aws_errors import explained_errors
from ..deploy.aws_session import Connect, Connection, connect
from ..edge.machine import Machine
from ..local.clients import client
from ..project.project import Environment, Project
from .deploy_here import worker_credentials
from .local_use import local_aws


@dataclass(frozen=True)
class Place:
    """Where a function is: its name, and AWS there."""

    environment: Environment
    function: str
    connection: Connection


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
    function = resource_name(environment.name, project.function.name)
    if not environment.is_local:
        credentials = worker_credentials(environment, machine.environ)
        return Place(environment, function, connect(credentials, environment.place()))
    aws = local_aws(project, machine)
    clients = partial(client, aws)
    return Place(environment, function, Connection(clients("lambda"), clients))
