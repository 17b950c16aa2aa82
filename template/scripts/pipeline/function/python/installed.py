"""What the locked dependencies brought: read from the dependency zip once, then remembered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...edge.cache import Sealed, keep, sealed
from ...zip.reader import OUR_LIMITS, members_of, open_archive
from ..compiled import compiled_files
from ..elf import Binary
from .distributions import Distribution, distributions


@dataclass(frozen=True)
class Brought:
    """The distributions of a dependency zip by normalised name, its compiled files by path."""

    distributions: Mapping[str, Distribution]
    binaries: Mapping[str, Binary]


def brought(dependencies: Sealed, folder: Path) -> Brought:
    """Return what a dependency zip holds; `folder` is where that is remembered by its digest."""
    memory = folder / f"brought-{dependencies.sha256[:32]}.json"
    if kept := sealed(memory):
        return _from_document(json.loads(kept.data))
    archive = open_archive(dependencies.data, OUR_LIMITS, where="dependency zip")
    found = Brought(distributions(archive), compiled_files(members_of(archive)))
    keep(memory, json.dumps(asdict(found)).encode())
    return found


def _from_document(document: dict[str, Any]) -> Brought:
    return Brought(
        {
            name: Distribution(**{**facts, "tags": tuple(facts["tags"])})
            for name, facts in document["distributions"].items()
        },
        {
            path: Binary(**{**facts, "glibc": tuple(facts["glibc"])})
            for path, facts in document["binaries"].items()
        },
    )
