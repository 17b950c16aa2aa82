"""The engine of functions in Python: this module is an `Engine`, which says what each part does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ...core.events import Reporter
from ...edge.machine import Machine
from ...project.project import Function, Project
from ..engine import Own, Restored, ZipFile
from ..handler import FunctionFiles, HandlerCheck
from .handler_source import check, check_syntax, handler_file
from .hash_lock import FUNCTION_LOCK, TEST_LOCK
from .interpreter import local_runtime as runtime
from .locking import write_locks as lock
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

locks: tuple[str, ...] = (FUNCTION_LOCK, TEST_LOCK)
beside: tuple[str, ...] = ()
ecosystem = "pypi"


def own_files(
    function: Function, files: Sequence[ZipFile], beside: Mapping[str, bytes],
    restored: Restored, machine: Machine,
) -> Own:  # fmt: skip
    """Return the files below `src` as they are."""
    del function, beside, machine
    return Own(files, restored.installed.dependencies)


def check_handler(
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

    return import_handler(project, files, machine, runtime(project.function, machine, reporter))
