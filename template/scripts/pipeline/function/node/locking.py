"""Writing the lock: what `package.json` asks for becomes exact versions and hashes."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from ...core.errors import PipelineError
from ...core.events import Reporter
from ...edge.files import write_whole
from ...edge.machine import Machine
from ...edge.npm import Npm
from ...project.project import Project
from ..engine import LockChange
from .install import npm
from .packages import LOCK, PACKAGE, Packages, Platform, name_of, read_package

_LOCKING = ("--package-lock-only", "--omit-lockfile-registry-resolved", "--lockfile-version=3")


def write_lock(
    project: Project, upgrade: Sequence[str] | None, machine: Machine, reporter: Reporter
) -> tuple[LockChange, ...]:
    """Write `package-lock.json`: for every platform, with hashes, without addresses.

    `upgrade` is None to keep what is locked where it still fits, empty to upgrade everything, or
    the packages to upgrade.
    """
    target, package = project.root / LOCK, read_package(project.root)
    before = target.read_bytes() if target.is_file() else b""
    runner = npm(machine, project.function.runtime.version)
    words = ("install",) if upgrade is None else ("update", *upgrade)
    with reporter.stage("lock") as stage:
        stage.progress(f"{LOCK}   resolving")
        text = lock_of(package, before, words, runner)
        found = Packages.of(package, text)
        found.reached(Platform.of_lambda(project.function.architecture))
        if text != before:
            write_whole(target, text)
        old, new = (_versions(lock, package) for lock in (before, text))
        change = LockChange.between(LOCK, old, new, name_of)
        stage.text = f"{LOCK}   {change}"
    for path, entry in found.entries.items():
        if reason := entry.get("deprecated"):
            reporter.warn(f"{LOCK}: {name_of(path)} {entry['version']} is deprecated: {reason}")
    return (change,)


def lock_of(package: bytes, before: bytes, words: Sequence[str], runner: Npm) -> bytes:
    """Return the lock of a `package.json`, made from the one of before by npm's verb in `words`."""
    with tempfile.TemporaryDirectory(prefix="lock-") as scratch:
        folder = Path(scratch)
        (folder / PACKAGE).write_bytes(package)
        if before:
            (folder / LOCK).write_bytes(before)
        runner.run([*words, *_LOCKING], folder, where=f"lock {PACKAGE}")
        return (folder / LOCK).read_bytes()


def _versions(lock: bytes, package: bytes) -> dict[str, str]:
    """Return the version of each package by its place; nothing of a lock that is none."""
    try:
        entries = Packages.of(package, lock).entries if lock else {}
    except PipelineError:
        return {}
    return {path: str(entry["version"]) for path, entry in entries.items() if path}
