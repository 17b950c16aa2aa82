"""What stands for a managed runtime on this machine: a Python, and AWS's own runtime client."""

from __future__ import annotations

import sys
from pathlib import Path

from ..edge.machine import Machine
from ..edge.pythons import base_python
from ..engines.lock import pick
from ..errors import PipelineError
from ..local.pool import LocalRuntime
from ..report.events import Reporter
from ..values.project import FROM_RUNTIME, Function
from .runtime_folders import LOCAL_LOCK, installed, runtime_sdk

__all__ = ["local_runtime"]

_CLIENT = ("awslambdaric", "simplejson", "snapshot-restore-py")


def local_runtime(
    function: Function, machine: Machine, reporter: Reporter, *, warns: bool = True
) -> LocalRuntime:
    """Return the runtime's Python and a runtime client made for it, installed when first needed.

    Another Python than the runtime's is used with a warning, which a caller that says so itself
    does without (`warns`). Where the client has no wheel, our own small one takes its place. A
    function that has its boto3 from the runtime gets one.
    """
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


def _client(python: Path, machine: Machine, reporter: Reporter) -> Path | None:
    text = pick((machine.root / LOCAL_LOCK).read_text(encoding="utf-8"), _CLIENT)
    try:
        return installed("runtime-client", text, python, machine)
    except PipelineError as error:
        reporter.warn(
            f"AWS's runtime client cannot be installed here ({error.what}); "
            "a small one of ours is used"
        )
        return None
