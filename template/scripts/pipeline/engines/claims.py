"""Reading what a document from elsewhere claims, and comparing it with what is true."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["differences", "parsed", "subjects"]

_LONGEST = 100
_NOTHING = object()


def parsed(data: bytes | None) -> Any:
    """Return a JSON document, or None where there is none that can be read."""
    try:
        return None if data is None else json.loads(data)
    except (ValueError, RecursionError):
        return None


def subjects(statement: Any) -> dict[str, str] | None:
    """Return the SHA-256 in hex of each file that an in-toto statement names.

    None for anything else, and for a statement that names a file twice.
    """
    try:
        named = [(item["name"], item["digest"]["sha256"]) for item in statement["subject"]]
    except (KeyError, TypeError):
        return None
    texts = all(isinstance(text, str) for pair in named for text in pair)
    return dict(named) if texts and len({name for name, _ in named}) == len(named) else None


def differences(told: Any, wanted: Any, path: str) -> Iterator[str]:
    """Name every place where a document differs from what it should say."""
    if isinstance(told, Mapping) and isinstance(wanted, Mapping):
        for key in sorted({*told, *wanted}):
            inner = f"{path} {key}".strip()
            yield from differences(told.get(key, _NOTHING), wanted.get(key, _NOTHING), inner)
    elif isinstance(told, list) and isinstance(wanted, list) and len(told) == len(wanted):
        for number, (left, right) in enumerate(zip(told, wanted, strict=True), 1):
            yield from differences(left, right, f"{path} {number}".strip())
    # 1 and True are equal in Python, not in JSON.
    elif type(told) is not type(wanted) or told != wanted:
        yield f"{path} is {_short(told)}, not {_short(wanted)}"


def _short(value: Any) -> str:
    if value is _NOTHING:
        return "missing"
    text = json.dumps(value, sort_keys=True) if not isinstance(value, str) else value
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
