"""The dependency zip: installed packages, deflated once and kept with what is known of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from ..core.errors import PipelineError
from ..core.manifest import Dependency
from ..edge.cache import keep, seal, sealed
from ..edge.files import writing
from ..edge.locks import exclusive
from ..zip.globs import path_matcher
from ..zip.writer import Member, compress, write_zip
from .elf import Binary
from .engine import Distribution, Installed, Restored

_EXECUTABLE, _PLAIN = 0o755, 0o644
_Value = TypeVar("_Value")


def kept(cache: Path, made_from: object, make: Callable[[Path], Restored]) -> Restored:
    """Return the zip that these facts decide, made unless it is whole in the folder `cache`.

    `make` gets the path that it is to have there.
    """
    target = cache / f"{hashlib.sha256(repr(made_from).encode()).hexdigest()[:32]}.zip"
    if whole := _whole(target):
        return whole
    with exclusive(cache / "dependencies.lock", lambda: None):
        return _whole(target) or make(target)


def pack(
    target: Path, members: Iterable[Member], installed: Installed, *, from_cache: bool
) -> Restored:
    """Write a dependency zip, and beside it what is known of it."""
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        seal(target, write_zip(target, members))
        keep(target.with_suffix(".json"), json.dumps(asdict(installed)).encode())
        return Restored(target.read_bytes(), installed, from_cache)


def deflated(files: Mapping[str, Path], lock: str) -> list[Member]:
    """Return installed files as members, by their names. Raises PipelineError for a link."""
    members = []
    for name, path in files.items():
        if path.is_symlink():
            then = "Lambda takes no links: take another package."
            raise PipelineError(lock, f"a dependency brings the link {name}", then)
        mode = _EXECUTABLE if path.stat().st_mode & 0o111 else _PLAIN
        members.append(Member(name, mode, compress(path.read_bytes())))
    return members


def excluded(
    names: Iterable[str], globs: Iterable[str], warn: Callable[[str], None]
) -> frozenset[str]:
    """Return the names that a glob means; `warn` is told of one that means none."""
    every, found = [*names], set[str]()
    for glob in globs:
        taken = set(filter(path_matcher(glob), every))
        if not taken:
            warn(f"[tool.pipeline.function] exclude: {glob!r} matches no file of a dependency")
        found |= taken
    return frozenset(found)


def _whole(target: Path) -> Restored | None:
    zipped, known = sealed(target), sealed(target.with_suffix(".json"))
    if zipped is None or known is None:
        return None
    facts = json.loads(known.data)
    installed = Installed(
        {name: _value(Distribution, one) for name, one in facts["distributions"].items()},
        {name: _value(Binary, one) for name, one in facts["binaries"].items()},
        tuple(_value(Dependency, one) for one in facts["dependencies"]),
        facts["locked"],
        tuple(facts["outside"]),
    )
    return Restored(zipped.data, installed, from_cache=True)


def _value(kind: Callable[..., _Value], facts: Mapping[str, Any]) -> _Value:
    """Return a value from JSON, which has lists for its tuples."""
    return kind(**{key: tuple(it) if isinstance(it, list) else it for key, it in facts.items()})
