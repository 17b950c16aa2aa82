"""The IAM rights that calls of an AWS client need, read off the calls themselves."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

import pytest

# Calls whose right has another name than they, by IAM's service and the call.
_NAMED = {
    ("s3", "ListBuckets"): ("ListAllMyBuckets",),
    ("s3", "ListObjectVersions"): ("ListBucketVersions",),
    ("s3", "DeleteObjects"): ("DeleteObject", "DeleteObjectVersion"),
    ("s3", "GetBucketNotificationConfiguration"): ("GetBucketNotification",),
    ("s3", "PutBucketNotificationConfiguration"): ("PutBucketNotification",),
    ("lambda", "Invoke"): ("InvokeFunction",),
}
_SERVICES = {"monitoring": "cloudwatch", "tagging": "tag"}


@contextmanager
def recorded(caplog: pytest.LogCaptureFixture) -> Iterator[set[str]]:
    """Give a set that has every right that botocore's clients needed, once the block has ended."""
    found: set[str] = set()
    with caplog.at_level(logging.DEBUG, "botocore.endpoint"):
        caplog.clear()
        yield found
        for record in caplog.records:
            call: Any = record.args[0] if isinstance(record.args, tuple) and record.args else None
            if model := getattr(call, "service_model", None):
                service = _SERVICES.get(model.endpoint_prefix, model.endpoint_prefix)
                names = _NAMED.get((service, call.name), (call.name,))
                found |= {f"{service}:{name}" for name in names}


def outside(needed: set[str], statements: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the rights that no statement grants to the caller itself."""
    own = [
        action
        for one in statements
        if "ForAnyValue:StringEquals" not in one.get("Condition", {})
        for action in one["Action"]
    ]
    return sorted(one for one in needed if not any(fnmatchcase(one, action) for action in own))
