"""The Lambda handler: an S3 event in, the lines of its objects out to Logstash.

Structured logging, tracing and idempotency come with AWS Lambda Powertools, if you want them:
add `aws-lambda-powertools` to the dependencies in pyproject.toml and run `python3 tasks.py lock`.

A secret stays in SSM or Secrets Manager, and is read from there: scripts/docs/secrets.md has the
module for it, and the right that the stack gives.
"""

from __future__ import annotations

import os
import time
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Protocol, cast

import boto3
from botocore.config import Config

from .logstash import connect
from .records import objects_in
from .settings import Settings, SettingsError
from .shipping import S3, ship
from .summary import Summary, summary_line

if TYPE_CHECKING:
    from collections.abc import Mapping

_FOR_THE_SUMMARY = 1.0  # seconds kept of the function's time, or nobody would learn how far it got


class Context(Protocol):
    """What is needed of the context that Lambda passes."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds up to the function's timeout."""
        ...


class NotAllSentError(Exception):
    """Something was not read or not sent, so that Lambda must try the event again."""


def handle(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Ship the objects of an S3 event; return the summary, which is logged as well.

    Raises NotAllSentError, SettingsError or ValueError (not an S3 event).
    """
    settings = Settings.from_environment(os.environ)
    name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "local")
    seconds = context.get_remaining_time_in_millis() / 1000 - _FOR_THE_SUMMARY
    deadline = time.monotonic() + seconds
    return process(event, settings, s3=_s3(), function=name, deadline=deadline)


def process(
    event: Mapping[str, Any],
    settings: Settings,
    *,
    s3: S3,
    function: str,
    deadline: float = float("inf"),
) -> dict[str, Any]:
    """Do what `handle` does, with the settings, S3 and the function's name given.

    Nothing is sent after `deadline`, a time of `time.monotonic`.
    """
    dimensions = {"FunctionName": function, "Environment": settings.environment}
    objects = objects_in(event)
    try:
        summary = ship(objects, settings, s3=s3, connect=partial(connect, deadline=deadline))
    except SettingsError as error:
        _log(Summary.of_failure(str(error)), dimensions)
        raise
    _log(summary, dimensions)
    if not summary.is_complete:
        reasons = [*summary.reading.last_few, *summary.sending.last_few]
        message = f"{summary.failed} of {summary.encountered} lines not sent: {'; '.join(reasons)}"
        raise NotAllSentError(message)
    return summary.report()


def _log(summary: Summary, dimensions: Mapping[str, str]) -> None:
    print(summary_line(summary, dimensions, time.time()))  # the metrics' way out


@cache
def _s3() -> S3:
    """Make the client at the first event; the warm ones after it find it made."""
    config = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard"})
    return cast("S3", boto3.client("s3", config=config))
