"""The flags that every verb has."""

from __future__ import annotations

__all__ = ["COMMON"]

COMMON = {"json": "One JSON document on standard output", "verbose": "More lines"}
