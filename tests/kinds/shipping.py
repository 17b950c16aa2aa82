"""What the load balancer log function sends for a file, and files of lines damaged at random."""

from __future__ import annotations

import gzip
import io
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

Load = Callable[[str], Any]

TABLE: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("log_lines.json").read_text(encoding="utf-8")
)
# What has a meaning somewhere between the file and the document.
_DAMAGE = [bytes([code]) for code in range(256)] + [
    *(b'\\"', b"\\n", b"\\u0041", b"\\ud800", b"\\x22", b" HTTP/1.1", b"://", b'" "', b"- - - "),
    *(b"\r\n", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"\xc3", b"\xf0\x9f\x9b", b"9" * 30),
]


class Storage:
    """S3 with one object, which is read a few bytes at a time."""

    def __init__(self, content: bytes, step: int | None = None) -> None:
        self._content = io.BytesIO(content)
        self._step = step

    def get_object(self, **_request: str) -> dict[str, Any]:
        """Return the object."""
        return {"Body": self, "ETag": '"0123"'}

    def read(self, amount: int) -> bytes:
        """Return the next bytes, as a network would."""
        return self._content.read(min(amount, self._step or amount))


class Connection:
    """Logstash, which takes everything."""

    def __init__(self) -> None:
        self.received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def send(self, data: bytes) -> None:
        """Take it."""
        self.received += data

    def finish(self) -> None:
        """End."""


def ship(
    load: Load,
    content: bytes,
    *,
    step: int | None = None,
    place: tuple[str, ...] = ("logs", "key"),
    **changed: str,
) -> tuple[list[bytes], Any]:
    """Return the documents that are sent for a file, and the summary."""
    constants = {"environment": "CI", "application": "shop", "component": "web"} | changed
    settings = load("settings").Settings(host="localhost", port=1, **constants)
    connection = Connection()
    summary = load("shipping").ship(
        [load("records").S3Object(*place)],
        settings,
        s3=Storage(content, step),
        connect=lambda _: connection,
    )
    return connection.received.splitlines() if connection.received else [], summary


def own_fields(document: bytes) -> dict[str, Any]:
    """Return what a document has from its line; that there is a ParseError says True."""
    fields: dict[str, Any] = json.loads(document)
    for name in ("id", "Environment", "Application", "Component", "SourceModuleName", "type"):
        del fields[name]
    del fields["Source"]
    return fields | ({"ParseError": True} if fields.get("ParseError") else {})


def content_of(row: dict[str, Any]) -> bytes:
    """Return the file of a row: its text, or its bytes, each written as one character."""
    text: str = row["bytes"] if "bytes" in row else row["text"]
    return text.encode("latin-1" if "bytes" in row else "utf-8")


def lines_in(text: str) -> list[str]:
    """Return the lines of a text without their ends, and without empty ones."""
    return [line for line in (some.removesuffix("\r") for some in text.split("\n")) if line]


def damaged_files(seed: int, count: int) -> Iterator[bytes]:
    """Yield the files of the table, each with up to four changes, the same ones for a seed."""
    draw = random.Random(seed)  # noqa: S311 (nothing secret)
    files = [content_of(row) for row in TABLE]
    for _ in range(count):
        content = bytearray(draw.choice(files))
        for _ in range(draw.randint(1, 4)):
            start = draw.randrange(len(content) + 1)
            end = start + draw.choice([0, 0, 1, 1, 1, 5])
            content[start:end] = draw.choice(_DAMAGE)
        yield bytes(content)


def faults(load: Load, files: Iterator[bytes]) -> Counter[str]:
    """Count the files for which a document is invalid, or the messages are not the lines."""
    found: Counter[str] = Counter()
    for content in files:
        try:
            documents, _ = ship(load, gzip.compress(content, 0))
            messages = [json.loads(document)["message"] for document in documents]
        except ValueError:
            found["invalid"] += 1
            continue
        sent = [line for message in messages for line in lines_in(message)]
        if sent != lines_in(content.decode(errors="backslashreplace")):
            found["altered"] += 1
    return found
