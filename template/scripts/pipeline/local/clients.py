"""AWS clients for the embedded AWS that cannot reach, or read, anything real."""

from __future__ import annotations

from typing import Any

from ..deploy.aws_session import NO_FILES, descriptions
from .state import LocalAws

# The id, and each attribute, of what a stack has and the embedded AWS has not.
LEFT_OUT = "not-in-the-embedded-aws"


def client(aws: LocalAws, service: str, config: Any = None) -> Any:
    """Return boto3's client of a service, with the embedded AWS's key.

    `config` is a botocore Config for what the caller wants otherwise. The user's configuration,
    credentials, profile and proxies are not looked at.
    """
    import boto3  # noqa: PLC0415 - comes with the tooling for the embedded AWS
    import botocore.session  # noqa: PLC0415 - comes with the tooling for the embedded AWS
    from botocore.config import Config  # noqa: PLC0415 - comes with the tooling for the embedded AWS

    made = botocore.session.Session(session_vars=NO_FILES)
    made.register_component("data_loader", descriptions())
    session = boto3.Session(
        botocore_session=made,
        aws_access_key_id=aws.access_key,
        aws_secret_access_key=aws.secret_key,
        region_name=aws.region,
    )
    ours = Config(proxies={}, s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    config = ours.merge(config) if config else ours
    # The stubs list every service by name; here it is a parameter.
    make: Any = session.client
    return make(service, endpoint_url=aws.endpoint, config=config)
