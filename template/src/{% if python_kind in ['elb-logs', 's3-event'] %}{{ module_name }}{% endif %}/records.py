"""The S3 event: which objects to read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class S3Object:
    """One object. `version` is empty where the bucket is not versioned."""

    bucket: str
    key: str
    version: str = ""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def objects_in(event: Mapping[str, Any]) -> tuple[S3Object, ...]:
    """Return the created objects that an S3 event names, with their keys decoded.

    Other kinds of S3 events (removals, the test event that S3 sends when a notification is set
    up) name nothing to read. Raises ValueError when the event is not one of S3's.
    """
    if event.get("Event") == "s3:TestEvent":
        return ()
    records = event.get("Records")
    if not isinstance(records, list):
        message = f"not an S3 event: no list `Records`, only {sorted(event)}"
        raise ValueError(message)  # noqa: TRY004 (wrong data, not a wrong call)
    return tuple(_object(record) for record in records if _is_creation(record))


def _is_creation(record: Mapping[str, Any]) -> bool:
    return str(record.get("eventName", "ObjectCreated:")).startswith("ObjectCreated:")


def _object(record: Mapping[str, Any]) -> S3Object:
    try:
        bucket, entry = record["s3"]["bucket"]["name"], record["s3"]["object"]
        # S3 encodes keys as form data: a blank is a plus sign, everything else percent. What is
        # not UTF-8 would read another object than the one that was meant.
        key = unquote_plus(entry["key"], errors="strict")
        key.encode()
        return S3Object(bucket, key, entry.get("versionId") or "")
    except (AttributeError, KeyError, TypeError, UnicodeError) as error:
        message = f"not an S3 record ({error!r} is wrong): {dict(record)}"
        raise ValueError(message) from error
