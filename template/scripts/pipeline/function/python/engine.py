"""The engine of functions in Python."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...core.events import Reporter
from ...edge.machine import Machine
from ...project.project import Function, Project
from ..engine import (
    LockChange,
    Restored,
    TestCommand,
    TestRequest,
    ZipFile,
)
from ..handler import FunctionFiles, HandlerCheck
from . import handler_source
from .hash_lock import FUNCTION_LOCK, TEST_LOCK
from .interpreter import local_runtime
from .locking import write_locks
from .restore import restore
from .tests import test_command

if TYPE_CHECKING:
    from ...runtime.pool import LocalRuntime


class _Python:
    """Wheels from a hash lock; the files below `src` go into the zip as they are."""

    locks = (FUNCTION_LOCK, TEST_LOCK)
    ecosystem = "pypi"

    def restore(
        self,
        project: Project,
        machine: Machine,
        cache: Path,
        tools: bytes,
        warn: Callable[[str], None],
    ) -> Restored:
        return restore(project, lambda: machine.uv, cache, tools, warn)

    def own_files(self, files: Sequence[ZipFile], restored: Restored) -> Sequence[ZipFile]:
        del restored
        return files

    def handler_file(self, names: Collection[str], handler: str) -> str:
        return handler_source.handler_file(names, handler)

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
        found = handler_source.check(project.function, files, read)
        if found.reason:
            return found
        if not imports:
            return handler_source.check_syntax(project.function, files, read, machine) or found
        # It brings what runs functions along, and takes as long to import as all the rest.
        from .handler_check import import_handler  # noqa: PLC0415

        runtime = self.runtime(project.function, machine, reporter)
        return import_handler(project, files, machine, runtime)

    def runtime(self, function: Function, machine: Machine, reporter: Reporter) -> LocalRuntime:
        return local_runtime(function, machine, reporter)

    def tests(
        self, project: Project, request: TestRequest, machine: Machine, reporter: Reporter
    ) -> TestCommand:
        return test_command(project, request, machine, reporter)

    def lock(
        self,
        project: Project,
        upgrade: Sequence[str] | None,
        machine: Machine,
        reporter: Reporter,
    ) -> tuple[LockChange, ...]:
        return write_locks(project, upgrade, machine, reporter)


ENGINE = _Python()
