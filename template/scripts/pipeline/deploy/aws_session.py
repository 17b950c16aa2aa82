"""The AWS credentials and region of a deploy, and clients that are in the right account."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cache, partial
from typing import Any

from ..core.errors import PipelineError
from ..core.text import seconds_of
from .aws_errors import explained_errors

_WHERE = "AWS session"
_VARIABLES = {
    "key": ("AWS_ACCESS_KEY_ID",),
    "secret": ("AWS_SECRET_ACCESS_KEY",),
    "token": ("AWS_SESSION_TOKEN",),
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
}


# What botocore takes for these settings: no setting, no variable, a default, no conversion. With
# credentials that are given, AWS_PROFILE and the worker's own files say nothing, broken or not.
NO_FILES = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


@dataclass(frozen=True)
class Credentials:
    """Access key, secret, session token and region; an empty text means "not given here".

    With an empty `key` the AWS client looks for credentials itself, such as a worker's role.
    """

    key: str = ""
    secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    region: str = ""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Credentials:
        """Read AWS's own environment variables."""
        found = {
            name: next((environ[variable] for variable in variables if environ.get(variable)), "")
            for name, variables in _VARIABLES.items()
        }
        return cls(**found)

    def as_environment(self) -> dict[str, str]:
        """Return AWS's own environment variables for a child process; empty ones are left out."""
        pairs = {
            variable: getattr(self, name)
            for name, variables in _VARIABLES.items()
            for variable in variables
        }
        return {name: value for name, value in pairs.items() if value}


@dataclass(frozen=True)
class Connection:
    """Boto3's Lambda client, and where it is: `caller` is empty unless it was asked for.

    `clients` gives the client of any other service, like `s3`. `now` is the time there. The figures
    of a call are there `metric_delay` seconds after it began; None means AWS's own delay.
    """

    functions: Any
    clients: Callable[[str], Any]
    caller: str = ""
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)  # noqa: UP017 - Python 3.10
    metric_delay: float | None = None


# What makes a Connection of credentials and a place: `connect` below, or a stand-in.
Connect = Callable[[Credentials, Mapping[str, str]], Connection]


def connect(credentials: Credentials, place: Mapping[str, str]) -> Connection:
    """Make the Lambda client of a deploy to `place`.

    `place` may have `account`, `region`, `role` and `external_id`. An account must be the caller's,
    a region the session's, or PipelineError names both. A role is assumed, with the external
    id. AWS_ENDPOINT_URL and the proxies are honoured by botocore itself.
    """
    region = _region(credentials, place)
    session = _session(credentials, region)
    caller = ""
    if place.get("role"):
        session = _assume_role(session, place["role"], place.get("external_id", ""), region)
    if place.get("account"):
        caller = _check_account(session, place["account"])
    delay = place.get("metric-delay", "")
    seconds = seconds_of("metric-delay", delay) if delay else None
    clients = cache(partial(_client, session))
    return Connection(clients("lambda"), clients, caller, metric_delay=seconds)


@cache
def descriptions() -> Any:
    """Return what reads botocore's descriptions of AWS: once for all sessions, as they are long."""
    from botocore.session import Session  # noqa: PLC0415 - in the package, beside the library

    return Session(session_vars=NO_FILES).get_component("data_loader")


def _region(credentials: Credentials, place: Mapping[str, str]) -> str:
    declared = place.get("region", "")
    if declared and credentials.region and declared != credentials.region:
        raise PipelineError(
            _WHERE,
            f"the environment is declared in {declared}, the credentials say {credentials.region}",
            "Correct AWS.Deployment.Region (or AWS_REGION), or the region in pyproject.toml.",
        )
    if not declared and not credentials.region:
        then = "Set that variable, the region of the step's AWS account, or AWS_REGION."
        raise PipelineError(_WHERE, "AWS.Deployment.Region is missing", then)
    return declared or credentials.region


def _session(credentials: Credentials, region: str) -> Any:
    import boto3  # noqa: PLC0415 - in the package, beside the library
    from botocore.session import Session  # noqa: PLC0415 - see above

    with explained_errors(_WHERE, ""):
        session = Session(session_vars=NO_FILES if credentials.key else None)
        session.register_component("data_loader", descriptions())
        return boto3.session.Session(
            botocore_session=session,
            aws_access_key_id=credentials.key or None,
            aws_secret_access_key=credentials.secret or None,
            aws_session_token=credentials.token or None,
            region_name=region,
        )


def _client(session: Any, service: str) -> Any:
    from botocore.config import Config  # noqa: PLC0415 - see above

    # An upload of 50 MB is one request; the default of 60 s is short for a slow line.
    config = Config(
        connect_timeout=10, read_timeout=180, retries={"mode": "standard", "max_attempts": 5}
    )
    with explained_errors(_WHERE, ""):
        return session.client(service, config=config)


def _assume_role(session: Any, role: str, external_id: str, region: str) -> Any:
    request = {"RoleArn": role, "RoleSessionName": "pipeline-deploy"}
    if external_id:
        request["ExternalId"] = external_id
    with explained_errors(f"role {role}", "sts:AssumeRole"):
        given = _client(session, "sts").assume_role(**request)["Credentials"]
        parts = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    return _session(Credentials(*parts, region), region)


def _check_account(session: Any, account: str) -> str:
    with explained_errors(_WHERE, "sts:GetCallerIdentity"):
        identity = _client(session, "sts").get_caller_identity()
        given, arn = identity["Account"], identity["Arn"]
    if given != account:
        what = f"the environment belongs to account {account}, the credentials to {given} ({arn})"
        then = "Nothing was changed. Use credentials of the right account."
        raise PipelineError(_WHERE, what, then)
    return str(arn)
