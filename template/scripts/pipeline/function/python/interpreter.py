"""What stands for a managed runtime here: a Python, its SDK, and AWS's own runtime client."""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path

from ...core.errors import PipelineError
from ...core.events import Reporter
from ...edge.cache import kept_folder
from ...edge.machine import Machine
from ...edge.pythons import base_python, how_to_install
from ...project.project import FROM_RUNTIME, Function
from ...runtime.function_code import LocalRuntime
from .hash_lock import FUNCTION_LOCK, pick, read_lock, versions
from .install import install, own_folder
from .requirements import SDK

_LOCAL_LOCK = "scripts/requirements-local.txt"
_CLIENT = ("awslambdaric", "simplejson", "snapshot-restore-py")
# The Python files of AWS's runtime client are the same in all its wheels: where none is for this
# machine, those of this one serve, without its compiled files.
_ANY_WHEEL = ("--python-platform", "x86_64-manylinux_2_28", "--python-version", "3.13")
_COMPILED_PART = Path(__file__).parents[2] / "runtime" / "runtime_client.py"


def local_runtime(function: Function, machine: Machine, reporter: Reporter) -> LocalRuntime:
    """Return the runtime's Python and a runtime client made for it, installed when first needed.

    Another Python than the runtime's is used with a warning. A function that has its boto3 from
    the runtime gets one.
    """
    runtime = function.runtime
    python = machine.python(runtime.version)
    version = runtime.version
    if python is None:
        python = base_python()
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        reporter.warn(
            f"Python {runtime.version} is not on this machine: the function runs on {version}, "
            "and code that needs either version may fail here or on Lambda; "
            f"{how_to_install(runtime.version)}"
        )
    extra: tuple[Path, ...] = ()
    if function.boto3 == FROM_RUNTIME:
        sdk, told = runtime_sdk(python, machine)
        reporter.line(f"  {told}")
        extra = (sdk,)
    return LocalRuntime(python, runtime_client(python, machine), version, extra)


def runtime_sdk(python: Path, machine: Machine) -> tuple[Path, str]:
    """Return a folder with the boto3 that stands for the runtime's, and a line that says so.

    Its versions are those of the function's lock, or of the local tooling's lock where the
    function's has none. Lambda's own differ, and change without notice.
    """
    text = pick(read_lock(machine.root, FUNCTION_LOCK), SDK)
    source = FUNCTION_LOCK
    if "boto3" not in versions(text):
        source = _LOCAL_LOCK
        text = pick(read_lock(machine.root, source), SDK)
    into = partial(_install, text, machine, python)
    folder = kept_folder(machine.cache, "runtime-sdk", f"{python}\n{text}", into)
    return folder, f"boto3 {versions(text).get('boto3')} of {source} stands for the runtime's"


def runtime_client(python: Path, machine: Machine) -> Path:
    """Return a folder with AWS's runtime client for that Python.

    Its compiled part is AWS's own where there is a wheel for this machine, else ours.
    """
    text = pick(read_lock(machine.root, _LOCAL_LOCK), _CLIENT)
    into = partial(_install, text, machine, python)
    ours = _COMPILED_PART.read_text(encoding="utf-8")

    def fill(folder: Path) -> None:
        try:
            into(folder)
        except PipelineError:
            into(folder, *_ANY_WHEEL)
            for compiled in folder.rglob("*.so"):
                compiled.unlink()
            (folder / _COMPILED_PART.name).write_text(ours, encoding="utf-8")

    made_from = f"{python}\n{text}\n{ours}"
    return kept_folder(machine.cache, "runtime-client", made_from, fill)


def _install(lock: str, machine: Machine, python: Path, folder: Path, *options: str) -> None:
    """Install what a lock names into a folder, from wheels."""
    with tempfile.TemporaryDirectory(prefix="install-") as scratch:
        file = Path(scratch, "requirements.txt")
        file.write_text(lock, encoding="utf-8")
        wanted: list[str | Path] = ["--python", python, "--only-binary", ":all:", "--no-deps"]
        install(
            machine.uv,
            [*wanted, *options, "-r", file],
            partial(own_folder, folder),
            where=f"install {', '.join(versions(lock))}",
        )
    (folder / ".lock").unlink(missing_ok=True)
