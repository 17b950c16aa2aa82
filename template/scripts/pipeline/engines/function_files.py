"""What a check of the handler looks at, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .elf import Binary

__all__ = ["FunctionFiles", "HandlerCheck"]


@dataclass(frozen=True)
class FunctionFiles:
    """The function zip: `own` are the names of the repository's files, the others' are brought."""

    path: Path
    own: frozenset[str]
    binaries: Mapping[str, Binary]


@dataclass(frozen=True)
class HandlerCheck:
    """What became of the handler: `found` for a reader, why not, and what to know besides."""

    found: str = ""
    reason: str = ""
    note: str = ""
