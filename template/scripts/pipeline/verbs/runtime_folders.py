"""Folders that hold what a managed runtime brings: its SDK, and the client that runs functions."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..edge.cache import is_whole_folder, seal_folder
from ..edge.files import alone, new_folder, write_whole
from ..edge.machine import Machine
from ..engines.left_out import SDK
from ..engines.lock import locked, pick
from ..engines.python import FUNCTION_LOCK

__all__ = ["LOCAL_LOCK", "installed", "runtime_sdk"]

LOCAL_LOCK = "scripts/requirements-local.txt"


def runtime_sdk(python: Path, machine: Machine) -> tuple[Path, str]:
    """Return a folder with the boto3 that stands for the runtime's, and a line that says so.

    Its versions are those of the function's lock, or of the local tooling's lock where the
    function's has none. Lambda's own differ, and change without notice.
    """
    text = pick((machine.root / FUNCTION_LOCK).read_text(encoding="utf-8"), SDK)
    source = FUNCTION_LOCK
    if "boto3" not in _versions(text):
        source = LOCAL_LOCK
        text = pick((machine.root / source).read_text(encoding="utf-8"), SDK)
    folder = installed("runtime-sdk", text, python, machine)
    return folder, f"boto3 {_versions(text).get('boto3')} of {source} stands for the runtime's"


def _versions(text: str) -> dict[str, str]:
    return {entry.name: entry.version for entry in locked(text)}


def installed(name: str, text: str, python: Path, machine: Machine) -> Path:
    """Return a folder with what a lock names, installed unless it is there and whole."""
    digest = hashlib.sha256(f"{python}\n{text}".encode()).hexdigest()[:16]
    folder = machine.cache / f"{name}-{digest}"
    if is_whole_folder(folder):
        return folder
    with alone(machine.cache / f"{name}.lock", lambda: None):
        if is_whole_folder(folder):
            return folder
        with new_folder(folder) as part:
            lock = machine.cache / f"{folder.name}.txt"
            write_whole(lock, text.encode())
            place: list[str | Path] = ["--target", part, "--python", python]
            machine.uv.install(
                [*place, "--only-binary", ":all:", "--no-deps", "-r", lock],
                cwd=machine.root,
                where=f"install the {name.replace('-', ' ')}",
            )
            (part / ".lock").unlink(missing_ok=True)
            seal_folder(part, folder)
    return folder
