"""The engine of functions in Python."""

from __future__ import annotations

from collections.abc import Callable

from ...core.events import Reporter
from ...edge.machine import Machine
from ...project.project import Project
from ..engine import Engine
from ..handler import FunctionFiles, HandlerCheck
from .handler_source import check, check_syntax, handler_file
from .hash_lock import FUNCTION_LOCK, TEST_LOCK
from .interpreter import local_runtime
from .locking import write_locks
from .restore import restore
from .tests import linters, test_command


class Python(Engine):
    """What each part does, `Engine` says."""

    locks = (FUNCTION_LOCK, TEST_LOCK)
    ecosystem = "pypi"
    restore = staticmethod(restore)
    handler_file = staticmethod(handler_file)
    runtime = staticmethod(local_runtime)
    tests = staticmethod(test_command)
    linters = staticmethod(linters)
    lock = staticmethod(write_locks)

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
        """Look for the handler in its module's source; with `imports` import it as well."""
        found = check(project.function, files, read)
        if found.reason:
            return found
        if not imports:
            return check_syntax(project.function, files, read, machine)
        # It brings what runs functions along, and takes as long to import as all the rest.
        from .handler_check import import_handler  # noqa: PLC0415

        here = self.runtime(project.function, machine, reporter)
        return import_handler(project, files, machine, here)


ENGINE = Python()
