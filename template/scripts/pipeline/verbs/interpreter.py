"""What stands for a managed runtime here: a Python, its SDK, and AWS's own runtime client."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..edge.cache import is_whole_folder, seal_folder
from ..edge.files import alone, new_folder, write_whole
from ..edge.machine import Machine
from ..edge.pythons import base_python
from ..engines.left_out import SDK
from ..engines.lock import locked, pick, read_lock
from ..engines.python import FUNCTION_LOCK
from ..errors import PipelineError
from ..report.events import Reporter
from ..values.project import FROM_RUNTIME, Function

if TYPE_CHECKING:
    from ..local.pool import LocalRuntime

__all__ = ["local_runtime", "runtime_sdk"]

_LOCAL_LOCK = "scripts/requirements-local.txt"
_CLIENT = ("awslambdaric", "simplejson", "snapshot-restore-py")


def local_runtime(
    function: Function, machine: Machine, reporter: Reporter, *, warns: bool = True
) -> LocalRuntime:
    """Return the runtime's Python and a runtime client made for it, installed when first needed.

    Another Python than the runtime's is used with a warning, which a caller that says so itself
    does without (`warns`). Where the client has no wheel, our own small one takes its place. A
    function that has its boto3 from the runtime gets one.
    """
    from ..local.pool import LocalRuntime  # noqa: PLC0415 - what runs functions is large

    runtime = function.runtime
    python = machine.python(runtime.python)
    version = runtime.python
    if python is None:
        python = base_python()
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        if warns:
            text = f"no {runtime.name} on this machine: the function runs on Python {version}"
            reporter.warn(text)
    extra: tuple[Path, ...] = ()
    if function.boto3 == FROM_RUNTIME:
        sdk, told = runtime_sdk(python, machine)
        reporter.line(f"  {told}")
        extra = (sdk,)
    return LocalRuntime(python, _client(python, machine, reporter), version, extra)


def runtime_sdk(python: Path, machine: Machine) -> tuple[Path, str]:
    """Return a folder with the boto3 that stands for the runtime's, and a line that says so.

    Its versions are those of the function's lock, or of the local tooling's lock where the
    function's has none. Lambda's own differ, and change without notice.
    """
    text = pick(read_lock(machine.root, FUNCTION_LOCK), SDK)
    source = FUNCTION_LOCK
    if "boto3" not in _versions(text):
        source = _LOCAL_LOCK
        text = pick(read_lock(machine.root, source), SDK)
    folder = _installed("runtime-sdk", text, python, machine)
    return folder, f"boto3 {_versions(text).get('boto3')} of {source} stands for the runtime's"


def _versions(text: str) -> dict[str, str]:
    return {entry.name: entry.version for entry in locked(text)}


def _installed(name: str, text: str, python: Path, machine: Machine) -> Path:
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
                copies=True,
            )
            (part / ".lock").unlink(missing_ok=True)
            seal_folder(part, folder)
    return folder


def _client(python: Path, machine: Machine, reporter: Reporter) -> Path | None:
    text = pick(read_lock(machine.root, _LOCAL_LOCK), _CLIENT)
    try:
        return _installed("runtime-client", text, python, machine)
    except PipelineError as error:
        reporter.warn(
            f"AWS's runtime client cannot be installed here ({error.what}); "
            "a small one of ours is used"
        )
        return None
