"""From S3 objects to JSON lines on a connection."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from .entries import last_line
from .lines import BrokenFileError, read_lines
from .logstash import Connection, ConnectionLostError
from .parse import MalformedLineError, json_members
from .summary import Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from .records import S3Object
    from .settings import Settings

_CONNECTIONS = 2  # the first, and one more when it breaks
_PARTS = 5  # that a document is joined of
_UNREADABLE = (BotoCoreError, ClientError, BrokenFileError, OSError)


class S3(Protocol):
    """What is needed of boto3's S3 client."""

    def get_object(self, **request: str) -> Mapping[str, Any]:
        """Return the object's `Body` to read from, and its `ETag`."""
        ...


def ship(
    objects: Sequence[S3Object],
    settings: Settings,
    *,
    s3: S3,
    connect: Callable[[Settings], Connection],
) -> Summary:
    """Send every line of the objects over one connection, and say what became of them.

    Nothing tells which lines a broken connection still delivered. So when it breaks, all of them
    are read and sent again over a second one, each with the same id as before.
    """
    summary = Summary()
    if not objects:
        summary.end_cleanly()
        return summary
    for _ in range(_CONNECTIONS):
        attempt = Summary(sending=summary.sending)
        try:
            with connect(settings) as connection:
                for batch in _batches(objects, settings, s3, attempt):
                    connection.send(batch)
                connection.finish()
        except ConnectionLostError as error:
            summary.sending.add(str(error))
            summary = max(attempt, summary, key=lambda tried: tried.encountered)
        else:
            attempt.end_cleanly()
            return attempt
    return summary


def _batches(
    objects: Sequence[S3Object], settings: Settings, s3: S3, summary: Summary
) -> Iterator[bytes]:
    """Yield JSON lines, some hundred at a time; an unreadable object does not stop the others."""
    for place in objects:
        try:
            yield from _batches_of(place, settings, s3, summary)
        except _UNREADABLE as error:
            summary.reading.add(f"{place}: {error}")


def _batches_of(place: S3Object, settings: Settings, s3: S3, summary: Summary) -> Iterator[bytes]:
    version = {"VersionId": place.version} if place.version else {}
    answer = s3.get_object(Bucket=place.bucket, Key=place.key, **version)
    start = f'{{"id":"{_id_stem(place, answer)}-'
    end = f",{_constants(place, settings)}}}\n"
    first = 1
    lines: list[str] = []
    for more in _and_the_end(read_lines(answer["Body"])):
        lines += more
        done = len(lines)
        # Joined once for the whole batch: to copy each document first would be felt.
        parts: list[str] = []
        for number, line in enumerate(lines, first):
            if not line:
                continue
            try:
                members = json_members(line)
            except MalformedLineError as error:
                index = number - first
                last = last_line(lines, index)
                if last is None and more:
                    done = index
                    break
                members = _taken_together(lines, index, last) if last else ""
                if not members:
                    summary.parsing.add(f"{place} line {number}: {error}")
                    raw = {"message": line, "ParseError": str(error)}
                    members = json.dumps(raw, ensure_ascii=False)[1:-1]
            parts += (start, str(number), '",', members, end)
        first += done
        del lines[:done]  # what is left is an entry whose end comes with the next lines
        summary.encountered += len(parts) // _PARTS
        summary.parsed = summary.encountered - summary.parsing.total
        if parts:
            yield "".join(parts).encode()


def _and_the_end(batches: Iterator[list[str]]) -> Iterator[list[str]]:
    """Yield an empty list after the last lines, when reading broke off too."""
    try:
        yield from batches
    except _UNREADABLE:
        yield []
        raise
    yield []


def _taken_together(lines: list[str], first: int, last: int) -> str:
    """Return the members of one entry of several lines, and empty all but its first line.

    Nothing is returned, and nothing changed, when they make no entry.
    """
    if first == last:
        return ""
    try:
        members = json_members("\n".join(lines[first : last + 1]))
    except MalformedLineError:
        return ""
    lines[first + 1 : last + 1] = [""] * (last - first)
    return members


def _id_stem(place: S3Object, answer: Mapping[str, Any]) -> str:
    """Name the content in 32 characters, the same at each retry; Elasticsearch allows 512 bytes."""
    content = place.version or str(answer.get("ETag", ""))
    name = f"{place.bucket}\0{place.key}\0{content}"
    return hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:32]


def _constants(place: S3Object, settings: Settings) -> str:
    """Return the members that all lines of an object share."""
    members = {
        "Environment": settings.environment,
        "Application": settings.application,
        "Component": settings.component,
        "SourceModuleName": settings.source_module,
        "type": settings.type,
        "Source": {"S3": {"Bucket": place.bucket, "Key": place.key}},
    }
    return json.dumps(members, separators=(",", ":"))[1:-1]
