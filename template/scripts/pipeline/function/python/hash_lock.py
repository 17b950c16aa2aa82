"""The hash lock: what it names, and whether it still fits `pyproject.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote

from packaging.requirements import Requirement
from packaging.tags import parse_tag

from ...core.errors import PipelineError
from ...core.manifest import Dependency
from ...edge.files import read_text, reading
from ...project.tables import normal
from .requirements import misfit

FUNCTION_LOCK = "requirements/function.txt"
TEST_LOCK = "requirements/test.txt"
_ENTRY = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)(.*(?:\n[ \t].*)*)", re.MULTILINE)
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")
# A comment of ours: the three tags of a wheel's file name, and its hash.
_WHEEL = re.compile(r"# \S+?-([^\s-]+-[^\s-]+-[^\s-]+)\.whl (sha256:[0-9a-f]{64})")


def read_lock(root: Path, file: str) -> str:
    """Return a lock's text. Raises PipelineError for one that is missing or no text."""
    with reading(file, "Run `python3 tasks.py lock`."):
        return read_text(root / file, file)


def locked(
    text: str, wheels: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> tuple[Dependency, ...]:
    """Return the packages of a lock with their versions and accepted hashes, sorted by name.

    `wheels` has the tags of installed wheels by normalised name: where the lock says which file
    has them, the hash of that file is the only one.
    """
    entries = (
        Dependency(match[1], match[2], _hashes(match[3], wheels.get(normal(match[1]), ())))
        for match in _ENTRY.finditer(text)
    )
    return tuple(sorted(entries, key=lambda entry: (entry.name, entry.version)))


def versions(text: str) -> dict[str, str]:
    """Return the version of each package of a lock by its name."""
    return {entry.name: entry.version for entry in locked(text)}


def with_wheels(text: str, pylock: str) -> str:
    """Return a lock that says, in comments, which hash is which wheel's of a `pylock.toml`."""
    names = {}
    for package in tomllib.loads(pylock).get("packages", []):
        for wheel in package.get("wheels", []):
            address = wheel.get("url") or wheel.get("path") or ""
            name = wheel.get("name") or unquote(address.rpartition("/")[2])
            names[f"sha256:{wheel.get('hashes', {}).get('sha256')}"] = name

    def named(match: re.Match[str]) -> str:
        known = [digest for digest in _HASH.findall(match[0]) if digest in names]
        return match[0] + "".join(f"\n    # {names[digest]} {digest}" for digest in known)

    return _ENTRY.sub(named, text)


def _hashes(entry: str, tags: Sequence[str]) -> tuple[str, ...]:
    accepted = set(_HASH.findall(entry))
    wheels = _WHEEL.findall(entry)
    used = {digest for name, digest in wheels if {*map(str, parse_tag(name))} == {*tags}}
    return tuple(sorted(used & accepted or accepted))


def pick(text: str, names: Sequence[str]) -> str:
    """Return the part of a lock that holds the named packages."""
    return "".join(f"{match[0]}\n" for match in _ENTRY.finditer(text) if normal(match[1]) in names)


def check_lock(file: str, text: str, requirements: Sequence[str]) -> None:
    """Refuse a lock without hashes, with addresses, or without what the requirements ask for."""
    for number, line in enumerate(text.splitlines(), 1):
        if "://" in line or line.startswith(("-", "git+")):
            raise PipelineError(
                f"{file}:{number}",
                f"a lock holds names, versions and hashes only, not {line.strip()!r}",
                "Run `python3 tasks.py lock`.",
            )
    entries = locked(text)
    for entry in entries:
        if not entry.hashes:
            what = f"{entry.name} {entry.version} has no hash"
            raise PipelineError(file, what, "Run `python3 tasks.py lock`.")
    for wanted in map(Requirement, requirements):
        found = [one.version for one in entries if normal(one.name) == normal(wanted.name)]
        # With a marker it may be for other Pythons only, and rightly not in the lock.
        if not found and wanted.marker:
            continue
        if not any(wanted.specifier.contains(version, prereleases=True) for version in found):
            raise misfit(file, f"pyproject.toml asks for {wanted}", " and ".join(found))
