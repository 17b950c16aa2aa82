"""Smoke tests: events that a new version has to answer before any traffic goes to it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ..core.errors import PipelineError
from ..core.strict_json import parse_json

# Where they are in a repository, and the folder of a package that they travel in.
_EVENTS = "tests/events"
SMOKE_FILE = re.compile(rf"{_EVENTS}/smoke[^/]*\.json")
SMOKE_FOLDER = "smoke"
_KEYS = ("event", "answer")
_SHOWN = 200
_LOG_LINES = 15


@dataclass(frozen=True)
class Smoke:
    """An event for a new version, as JSON, and the part of its answer that is known beforehand.

    `name` is the file's. Without an expected part any answer will do that is no error.
    """

    name: str
    event: bytes = field(repr=False)
    expected: tuple[Any, ...] = ()

    @classmethod
    def read(cls, data: bytes, where: str) -> Smoke:
        """Read a file. Raises PipelineError that is at `where`."""
        document = parse_json(data, where)
        unknown = sorted(set(document) - {*_KEYS}) if isinstance(document, dict) else []
        if not isinstance(document, dict) or "event" not in document or unknown:
            what = f"it has {unknown[0]!r}" if unknown else "it has no `event`"
            then = 'Write {"event": ..., "answer": ...}; of the answer only what is to be compared.'
            raise PipelineError(where, f"this is no smoke test: {what}", then)
        expected = (document["answer"],) if "answer" in document else ()
        return cls(PurePosixPath(where).name, json.dumps(document["event"]).encode(), expected)


def smoke_tests(folder: Path) -> tuple[Smoke, ...]:
    """Read the smoke tests of an unpacked package, in the order of their names."""
    return tuple(Smoke.read(path.read_bytes(), path.name) for path in sorted(folder.glob("*.json")))


def refuse_answer(
    answer: Mapping[str, Any], name: str, expected: Iterable[Any], where: str
) -> None:
    """Raise PipelineError if Invoke's answer is an error, or lacks a part of what is expected.

    The error has the end of the log, and says how to look further.
    """
    payload = answer["Payload"].read()
    what = (
        f"{name}: the function failed: {_failure(payload)}" if answer.get("FunctionError") else ""
    )
    for part in () if what else expected:
        try:
            found = difference(part, json.loads(payload))
        except ValueError:
            found = f"the answer is no JSON, but {_short(payload)}"
        what = f"{name}: {found}" if found else ""
    if not what:
        return
    log = base64.b64decode(answer.get("LogResult", "")).decode(errors="replace")
    tail = [f"  {line}" for line in log.splitlines()[-_LOG_LINES:]]
    then = f"Try it here: `python3 tasks.py run --event {_EVENTS}/{name}`."
    raise PipelineError(where, "\n".join([what, *tail]), then)


def difference(expected: Any, found: Any, at: str = "answer") -> str:
    """Say where an answer lacks what is expected, or give "".

    An object may have more members than expected; everything else is the same, lists item by item.
    """
    if isinstance(expected, dict) and isinstance(found, dict):
        members = (
            difference(value, found[key], f"{at}.{key}")
            if key in found
            else f"{at}.{key} is missing"
            for key, value in expected.items()
        )
        return next(filter(None, members), "")
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = zip(expected, found, strict=True)
        items = (difference(*pair, f"{at}[{number}]") for number, pair in enumerate(pairs))
        return next(filter(None, items), "")
    # JSON's true and 1 are equal in Python.
    if expected == found and isinstance(expected, bool) == isinstance(found, bool):
        return ""
    return f"{at} is {_short(json.dumps(found))}, not {_short(json.dumps(expected))}"


def _failure(payload: bytes) -> str:
    try:
        document = json.loads(payload)
        return _short(f"{document.get('errorType', 'error')}: {document.get('errorMessage', '')}")
    except (ValueError, AttributeError):
        return _short(payload)


def _short(value: str | bytes) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
