"""`package.json` and `package-lock.json`: what is asked for, what is locked, what a function needs.

npm installs by its own rules, which differ between its versions. So which packages are packaged is
decided here, by the lock alone, as Node would look for them.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import PipelineError
from ...core.manifest import Dependency
from ...core.strict_json import parse_json
from ...edge.files import reading
from ..engine import Distribution

PACKAGE, LOCK = "package.json", "package-lock.json"
MODULES = "node_modules"
_BELOW = f"{MODULES}/"
_LOCK_AGAIN = "Run `python3 tasks.py lock`."
_ELSEWHERE = "Publish it to a registry that .npmrc names, put its code into src, or do without."
_ASKED = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
_SHA512 = re.compile(r"sha512-([A-Za-z0-9+/]{86}==)")


@dataclass(frozen=True)
class Platform:
    """What packages may be made for, in npm's words: `cpu` is `arm64` or `x64`."""

    os: str
    cpu: str
    libc: str = ""

    @classmethod
    def of_lambda(cls, architecture: str) -> Platform:
        """Return that of a function."""
        return cls("linux", {"x86_64": "x64"}.get(architecture, architecture), "glibc")

    @property
    def options(self) -> tuple[str, ...]:
        """What makes npm install for it."""
        libc = (f"--libc={self.libc}",) if self.libc else ()
        return (f"--os={self.os}", f"--cpu={self.cpu}", *libc)

    def fits(self, entry: Mapping[str, Any]) -> bool:
        """Tell whether a package of the lock is for it; `!x` in its lists excludes."""
        for key, here in (("os", self.os), ("cpu", self.cpu), ("libc", self.libc)):
            listed = entry.get(key) or []
            wanted = [name for name in listed if not name.startswith("!")]
            if f"!{here}" in listed or (wanted and here not in wanted):
                return False
        return True


@dataclass(frozen=True)
class Packages:
    """The repository's `package.json` in `asked`, its lock in `entries` by path; "" is itself."""

    asked: Mapping[str, Any]
    entries: Mapping[str, Mapping[str, Any]]
    package: bytes
    lock: bytes

    @classmethod
    def read(cls, root: Path) -> Packages:
        """Read both, and refuse a lock that is not one, or not of this `package.json`."""
        package, lock = (_read(root, name) for name in (PACKAGE, LOCK))
        found = cls.of(package, lock)
        asked, locked = found.asked, found.entries[""]
        for key in _ASKED:
            if (asked.get(key) or {}) != (locked.get(key) or {}):
                what = f"it is not of this {PACKAGE}: {key} differ"
                raise PipelineError(LOCK, what, _LOCK_AGAIN)
        return found

    @classmethod
    def of(cls, package: bytes, lock: bytes) -> Packages:
        """Read the bytes of both, and refuse what a lock may not hold."""
        asked, document = _object(package, PACKAGE), _object(lock, LOCK)
        entries = document.get("packages")
        if not isinstance(entries, dict) or "" not in entries:
            what = f"its lockfileVersion is {document.get('lockfileVersion')!r}, not 3"
            raise PipelineError(LOCK, what, _LOCK_AGAIN)
        # A link before the folder that it leads to: its name is the one that was asked for.
        for path in sorted(entries, key=lambda path: not path.startswith(_BELOW)):
            _refuse(path, entries[path])
        return cls(asked, entries, package, lock)

    @property
    def locked(self) -> int:
        """How many packages the lock names."""
        return len(self.entries) - 1

    def program(self, package: str, name: str) -> str:
        """Return where a package's program is below `node_modules`; empty if it is not locked."""
        found = self.entries.get(_BELOW + package, {}).get("bin")
        path = found.get(name) if isinstance(found, dict) else None
        return f"{package}/{path.removeprefix('./')}" if path else ""

    def reached(
        self,
        platform: Platform,
        start: Iterable[str] = ("",),
        stop: Callable[[str], bool] = lambda _: False,
    ) -> dict[str, Mapping[str, Any]]:
        """Return the packages that those at `start` need on a platform, by their paths, sorted.

        Those whose name `stop` says true of are left out, with what only they need. Raises
        PipelineError for a needed one that is not locked, or is for other platforms only.
        """
        found: dict[str, Mapping[str, Any]] = {}
        waiting = [*start]
        while waiting:
            at = waiting.pop()
            if at in found:
                continue
            found[at] = self.entries[at]
            waiting += [path for path in self._needs(at, platform) if not stop(name_of(path))]
        found.pop("", None)
        return dict(sorted(found.items()))

    def owners(self, files: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """Return the packages that files below `node_modules` are of, sorted by their paths."""
        found = set()
        for file in files:
            before, below, rest = file.rpartition(_BELOW)
            if below:
                parts = rest.split("/")
                found.add(before + below + "/".join(parts[: 2 if rest.startswith("@") else 1]))
        return {path: self.entries[path] for path in sorted(found)}

    def _needs(self, at: str, platform: Platform) -> Iterable[str]:
        entry = self.entries[at]
        optional = entry.get("optionalDependencies") or {}
        peers = {} if at == "" else entry.get("peerDependencies") or {}
        may_lack = {*optional, *peers}
        for name in {**(entry.get("dependencies") or {}), **optional, **peers}:
            path = self._place(at, name)
            if path and platform.fits(self.entries[path]):
                yield path
            elif name not in may_lack:
                why = f"is for other machines than {platform.os} {platform.cpu}"
                who = name_of(at) or PACKAGE
                what = f"{name}, which {who} needs, {why if path else 'is missing'}"
                raise PipelineError(LOCK, what, "Take another package, or lock again.")

    def _place(self, at: str, name: str) -> str:
        """Return where Node finds a package from the one at a path; empty if nowhere."""
        while True:
            path = f"{at}/{_BELOW}{name}" if at else _BELOW + name
            if path in self.entries:
                return path
            if not at:
                return ""
            at = at.rpartition(f"/{_BELOW}")[0]


def name_of(path: str) -> str:
    """Return the name of the package at a path of the lock."""
    return path.rpartition(_BELOW)[2]


def dependencies_of(found: Mapping[str, Mapping[str, Any]]) -> tuple[Dependency, ...]:
    """Return what a manifest says of packages of the lock."""
    every = {
        Dependency(_real_name(path, entry), entry["version"], _hashes(entry))
        for path, entry in found.items()
    }
    return tuple(sorted(every, key=lambda item: (item.name, item.version)))


def distributions_of(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Distribution]:
    """Return packages of the lock by `name@version`: there may be several versions of one."""
    return {
        f"{_real_name(path, entry)}@{entry['version']}": Distribution(
            entry["version"], str(entry.get("license") or "")
        )
        for path, entry in found.items()
    }


def _real_name(path: str, entry: Mapping[str, Any]) -> str:
    # The lock says so of one that is installed under another name.
    return str(entry.get("name") or name_of(path))


def _hashes(entry: Mapping[str, Any]) -> tuple[str, ...]:
    match = _SHA512.search(entry.get("integrity", ""))
    return (f"sha512:{base64.b64decode(match[1]).hex()}",) if match else ()


def _refuse(path: str, entry: Any) -> None:
    """Refuse an entry that does not say, by name, version and hash, which package it is."""
    name = name_of(path)
    if not isinstance(entry, dict):
        raise PipelineError(LOCK, f"{name} is no object", _LOCK_AGAIN)
    # A package's address says where it is from; an index's packages need none.
    source = str(entry.get("resolved", ""))
    if path == "":
        return
    if entry.get("link") or not path.startswith(_BELOW):
        what = "is a link to a folder: what is locked are packages of a registry, by hash"
        raise PipelineError(LOCK, f"{name} {what}", _ELSEWHERE)
    if source.startswith(("git", "file:")):
        what = f"{name} comes from {source}, not from a registry"
        raise PipelineError(LOCK, what, _ELSEWHERE)
    if entry.get("inBundle") and entry.get("version"):
        return  # inside another package, whose hash is that of its bytes too
    if "://" in source:
        raise PipelineError(LOCK, f"it holds an address, that of {name}", _LOCK_AGAIN)
    if not _SHA512.search(str(entry.get("integrity", ""))) or not entry.get("version"):
        raise PipelineError(LOCK, f"{name} has no sha512 or no version", _LOCK_AGAIN)


def read_package(root: Path) -> bytes:
    """Return `package.json`; refuse packages that it asks for from elsewhere than a registry."""
    package = _read(root, PACKAGE)
    asked = _object(package, PACKAGE)
    every = {name: str(it) for key in _ASKED for name, it in (asked.get(key) or {}).items()}
    for name, wanted in every.items():
        # Neither is in a version, a range or a tag.
        if not wanted.startswith("npm:") and re.search("[/:]", wanted):
            what = f"{name} is to come from {wanted}, not from a registry"
            raise PipelineError(PACKAGE, what, _ELSEWHERE)
    return package


def _read(root: Path, name: str) -> bytes:
    then = "Bring it back from git: a function in Node has one."
    with reading(name, _LOCK_AGAIN if name == LOCK else then):
        return (root / name).read_bytes()


def _object(data: bytes, where: str) -> dict[str, Any]:
    document = parse_json(data, where)
    if not isinstance(document, dict):
        raise PipelineError(where, "it is not an object", "Write it as npm does.")
    return document
