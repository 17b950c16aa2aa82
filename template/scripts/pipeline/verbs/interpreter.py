"""What stands for a managed runtime on this machine: a Python, and AWS's own runtime client."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from ..edge.files import alone, new_folder
from ..edge.machine import Machine
from ..edge.pythons import base_python
from ..engines.lock import pick
from ..errors import PipelineError
from ..local.pool import LocalRuntime
from ..report.events import Reporter
from ..values.runtimes import Runtime

__all__ = ["local_runtime"]

_LOCK = "scripts/requirements-local.txt"
_CLIENT = ("awslambdaric", "simplejson", "snapshot-restore-py")


def local_runtime(runtime: Runtime, machine: Machine, reporter: Reporter) -> LocalRuntime:
    """Return the runtime's Python and a runtime client made for it, installed when first needed.

    Another Python than the runtime's is used with a warning. Where the client has no wheel,
    our own small one takes its place.
    """
    python = machine.python(runtime.python)
    version = runtime.python
    if python is None:
        python = base_python()
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        reporter.warn(f"no {runtime.name} on this machine: the function runs on Python {version}")
    return LocalRuntime(python, _client(python, machine, reporter), version)


def _client(python: Path, machine: Machine, reporter: Reporter) -> Path | None:
    text = pick((machine.root / _LOCK).read_text(encoding="utf-8"), _CLIENT)
    digest = hashlib.sha256(f"{python}\n{text}".encode()).hexdigest()[:16]
    folder = machine.cache / f"runtime-client-{digest}"
    if folder.is_dir():
        return folder
    with alone(machine.cache / "runtime-client.lock", lambda: None):
        if folder.is_dir():
            return folder
        try:
            with new_folder(folder) as part:
                lock = machine.cache / f"runtime-client-{digest}.txt"
                lock.write_text(text, encoding="utf-8")
                place: list[str | Path] = ["--target", part, "--python", python]
                machine.uv.install(
                    [*place, "--only-binary", ":all:", "--no-deps", "-r", lock],
                    cwd=machine.root,
                    where="install AWS's runtime client",
                )
                (part / ".lock").unlink(missing_ok=True)
        except PipelineError as error:
            reporter.warn(
                f"AWS's runtime client cannot be installed here ({error.what}); "
                "a small one of ours is used"
            )
            return None
    return folder
