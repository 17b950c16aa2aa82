"""The engine of functions in Node: this module is an `Engine`, which says what each part does."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from ...core.events import Reporter
from ...edge.machine import Machine
from ...project.project import Function, Project
from ..engine import Own, Restored, ZipFile
from ..handler import FunctionFiles, HandlerCheck
from .bundle import bundle, handler_file, module_of
from .interpreter import local_runtime as runtime
from .locking import write_lock as lock
from .packages import LOCK, PACKAGE
from .restore import restore
from .tests import linters
from .tests import test_command as tests

__all__ = [
    "beside",
    "check_handler",
    "ecosystem",
    "handler_file",
    "linters",
    "lock",
    "locks",
    "own_files",
    "restore",
    "runtime",
    "tests",
]

locks: tuple[str, ...] = (PACKAGE, LOCK)
beside: tuple[str, ...] = (PACKAGE, "tsconfig.json")
ecosystem = "npm"


def own_files(
    function: Function, files: Sequence[ZipFile], beside: Mapping[str, bytes],
    restored: Restored, machine: Machine,
) -> Own:  # fmt: skip
    """Return the files below `src` bundled, or as they are with the package's type beside them."""
    if function.bundling:
        return bundle(function, function.bundling, files, beside, restored, machine)
    kind = json.loads(beside[PACKAGE]).get("type") if PACKAGE in beside else None
    if kind is None or PACKAGE in [name for name, _, _ in files]:
        return Own(files, restored.installed.dependencies)
    # Node reads from it what `.js` means; all else in it is about the repository.
    own = (PACKAGE, False, json.dumps({"type": kind}).encode() + b"\n")
    return Own([*files, own], restored.installed.dependencies)


def check_handler(
    project: Project,
    files: FunctionFiles,
    read: Callable[[str], bytes],
    machine: Machine,
    reporter: Reporter,
    *,
    imports: bool,
) -> HandlerCheck:
    """Look for the handler's file; with `imports` load it as well."""
    del read
    handler = project.function.handler
    if not handler_file(files.names, handler):
        stem, _ = module_of(handler)
        why = f"there is no {stem}.mjs, .cjs or .js in function.zip"
        return HandlerCheck(reason=f"the handler {handler} is missing: {why}")
    if not imports:
        return HandlerCheck("handler found")
    # It brings what runs functions along, and takes as long to import as all the rest.
    from .handler_check import load_handler  # noqa: PLC0415

    here = runtime(project.function, machine, reporter)
    return load_handler(project, files, machine, here)
