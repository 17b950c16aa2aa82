"""The engine of functions in Node."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from ...core.events import Reporter
from ...edge.machine import Machine
from ...project.project import Function, Project
from ..engine import Engine, Own, Restored, ZipFile
from ..handler import FunctionFiles, HandlerCheck
from .bundle import bundle, handler_file, module_of
from .interpreter import local_runtime
from .locking import write_lock
from .packages import LOCK, PACKAGE
from .restore import restore
from .tests import linters, test_command


class Node(Engine):
    """What each part does, `Engine` says."""

    locks = (PACKAGE, LOCK)
    beside = (PACKAGE, "tsconfig.json")
    ecosystem = "npm"
    restore = staticmethod(restore)
    handler_file = staticmethod(handler_file)
    runtime = staticmethod(local_runtime)
    tests = staticmethod(test_command)
    linters = staticmethod(linters)
    lock = staticmethod(write_lock)

    def own_files(
        self, function: Function, files: Sequence[ZipFile], beside: Mapping[str, bytes],
        restored: Restored, machine: Machine,
    ) -> Own:  # fmt: skip
        """Return the files below `src` bundled, or as they are with the package's type."""
        if function.bundling:
            return bundle(function, function.bundling, files, beside, restored, machine)
        kind = json.loads(beside[PACKAGE]).get("type") if PACKAGE in beside else None
        if kind is None or PACKAGE in [name for name, _, _ in files]:
            return super().own_files(function, files, beside, restored, machine)
        # Node reads from it what `.js` means; all else in it is about the repository.
        own = (PACKAGE, False, json.dumps({"type": kind}).encode() + b"\n")
        return Own([*files, own], restored.installed.dependencies)

    def check_handler(
        self,
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

        here = self.runtime(project.function, machine, reporter)
        return load_handler(project, files, machine, here)


ENGINE = Node()
