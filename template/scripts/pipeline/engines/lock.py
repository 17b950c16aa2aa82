"""The hash lock: what it names, and whether it still fits `pyproject.toml`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import PipelineError
from ..values.manifest import Dependency

__all__ = ["check_lock", "locked", "pick"]

_ENTRY = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)(.*(?:\n[ \t].*)*)", re.MULTILINE)
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")
_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


def locked(text: str) -> tuple[Dependency, ...]:
    """Return the packages of a lock with their versions and accepted hashes, sorted by name."""
    entries = (
        Dependency(match[1], match[2], tuple(sorted(_HASH.findall(match[3]))))
        for match in _ENTRY.finditer(text)
    )
    return tuple(sorted(entries, key=lambda entry: (entry.name, entry.version)))


def pick(text: str, names: Sequence[str]) -> str:
    """Return the part of a lock that holds the named packages."""
    return "".join(f"{match[0]}\n" for match in _ENTRY.finditer(text) if normal(match[1]) in names)


def check_lock(file: str, text: str, requirements: Sequence[str]) -> None:
    """Refuse a lock without hashes, with addresses, or without one of the requirements."""
    for number, line in enumerate(text.splitlines(), 1):
        if "://" in line or line.startswith(("-", "git+")):
            raise PipelineError(
                f"{file}:{number}",
                f"a lock holds names, versions and hashes only, not {line.strip()!r}",
                "Run `invoke lock`.",
            )
    entries = locked(text)
    for entry in entries:
        if not entry.hashes:
            raise PipelineError(
                file, f"{entry.name} {entry.version} has no hash", "Run `invoke lock`."
            )
    known = {normal(entry.name) for entry in entries}
    for requirement in requirements:
        # With a marker it may be for other Pythons only, and rightly not in the lock.
        name = None if ";" in requirement else _NAME.match(requirement)
        if name and normal(name[1]) not in known:
            raise PipelineError(
                file, f"{name[1]} is in pyproject.toml but not in the lock", "Run `invoke lock`."
            )


def normal(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
