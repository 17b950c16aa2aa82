"""The template's releases as a repository should have them, read once each from its mirror."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from threading import Lock

import doctor

from .objects import Objects

_RELEASE = re.compile(r"v(\d+)\.(\d+)\.(\d+)\Z")
_START = "template/"


@dataclass(frozen=True)
class Release:
    """A release, or any other commit: the blob of each file of ours by its path there.

    No answer changes a byte of them, so nothing has to be rendered. `manifest` is the text of the
    MANIFEST, which is one of these files; `allowed` is the allow-file's blob as it is rendered.
    """

    name: str
    ours: dict[str, str]
    manifest: str
    allowed: str = ""


class Releases:
    """What the template at `objects` has released. `tags` are its tags; any thread may ask."""

    def __init__(self, objects: Objects, tags: Iterable[str]) -> None:
        self._objects, self._lock = objects, Lock()
        self._known: dict[str, Release | None] = {}
        numbers = {tag: numbers_of(tag) for tag in tags if _RELEASE.match(tag)}
        self.names: tuple[str, ...] = tuple(sorted(numbers, key=lambda tag: numbers[tag]))

    @property
    def newest(self) -> str:
        """The newest release's name; empty where there is none."""
        return self.names[-1] if self.names else ""

    def behind(self, name: str) -> int:
        """Return how many releases are newer than the one that `name` is, or comes after."""
        return sum(numbers_of(other) > numbers_of(name) for other in self.names)

    def of(self, name: str) -> Release | None:
        """Return what an answers file names; None where the template has no such commit."""
        with self._lock:
            if name not in self._known:
                self._known[name] = self._read(name)
            return self._known[name]

    def holding(self, manifest: str) -> str:
        """Return the release whose MANIFEST is that blob, the newest one; empty for none."""
        return self._by_manifest.get(manifest, "")

    @cached_property
    def _by_manifest(self) -> dict[str, str]:
        with self._lock:
            found = {
                name: self._objects.find(f"{name}:{_START}{doctor.MANIFEST}") for name in self.names
            }
        return {blob[0]: name for name, blob in found.items() if blob}

    def _read(self, name: str) -> Release | None:
        if not re.fullmatch(r"[\w.+/-]+", name) or not self._objects.find(f"{name}^{{tree}}"):
            return None
        files = {
            doctor.BY_ANSWER.sub(r"\1", path): entry.blob
            for path, entry in self._objects.files(name, _START.rstrip("/")).items()
        }
        if doctor.MANIFEST not in files:
            return None
        manifest = self._objects.read(files[doctor.MANIFEST]).decode("utf-8", "replace")
        ours = [*doctor.entries(manifest), doctor.MANIFEST]
        known = {path: files[path] for path in ours if path in files}
        return Release(name, known, manifest, files.get(doctor.ALLOWED, ""))


def numbers_of(name: str) -> tuple[int, ...]:
    """Return a release's numbers, of the last one before a commit that `git describe` names."""
    found = re.match(r"v(\d+)\.(\d+)\.(\d+)", name)
    return tuple(map(int, found.groups())) if found else ()
