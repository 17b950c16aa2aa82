"""The Lambda handler: an S3 event in, each object of it handled.

Structured logging, tracing and idempotency come with AWS Lambda Powertools, if you want them:
add `aws-lambda-powertools` to the dependencies in pyproject.toml and run `python3 tasks.py lock`.

A secret stays in SSM or Secrets Manager, and is read from there: scripts/docs/secrets.md has the
module for it, and the right that the stack gives.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, cast

import boto3

from .records import S3Object, objects_in

if TYPE_CHECKING:
    from collections.abc import Mapping


class S3(Protocol):
    """What is needed of boto3's S3 client."""

    def get_object(self, **request: str) -> Mapping[str, Any]:
        """Return the object's `Body` to read from, its `ContentType` and more."""
        ...


def handle(event: dict[str, Any], _context: object) -> list[dict[str, Any]]:
    """Handle the objects of an S3 event, and return what was done with each.

    An exception makes Lambda try the whole event again, twice, and then put it into the
    dead-letter queue; so doing an object a second time must do no harm.
    """
    results = [handle_object(place, _s3()) for place in objects_in(event)]
    for result in results:
        print(json.dumps(result))  # one log line for each object
    return results


def handle_object(place: S3Object, s3: S3) -> dict[str, Any]:
    """Read one object. This is where your work begins: replace the count by it."""
    version = {"VersionId": place.version} if place.version else {}
    answer = s3.get_object(Bucket=place.bucket, Key=place.key, **version)
    size = sum(len(chunk) for chunk in iter(lambda: answer["Body"].read(1024 * 1024), b""))
    return {"bucket": place.bucket, "key": place.key, "bytes": size}


@cache
def _s3() -> S3:
    """Make the client at the first object; later events in a warm process find it made."""
    return cast("S3", boto3.client("s3"))
