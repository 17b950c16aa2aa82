"""Reading Octopus's JSON, whose property names begin with a capital or not, by server version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Document", "changed", "read", "text", "texts"]

Document = Mapping[str, Any]


def read(document: Document, name: str, default: Any = None) -> Any:
    """Return a property by its name with a capital; `default` where it is absent or null."""
    value = document.get(name, document.get(_small(name)))
    return default if value is None else value


def text(document: Document, name: str) -> str:
    """Return a property as text; empty where it is absent."""
    return str(read(document, name, ""))


def texts(document: Document, name: str) -> list[str]:
    """Return a property that is a list of texts; empty where it is absent."""
    return [str(item) for item in read(document, name, [])]


def changed(document: Document, **properties: Any) -> dict[str, Any]:
    """Return a document with properties replaced, each in the casing it has there."""
    result = dict(document)
    for name, value in properties.items():
        small = _small(name)
        result[small if small in document and name not in document else name] = value
    return result


def _small(name: str) -> str:
    return name[:1].lower() + name[1:]
