"""Whether the handler is there: imported where that is possible, looked for where it is not.

A module runs its own code when it is imported, and that may need what only AWS has: a variable
that a deploy sets, a layer, an answer from the network. Such a failure speaks for a look at the
source instead, and is told; every other one speaks against the package.
"""

from __future__ import annotations

import platform
import re
from pathlib import Path

from ..archive.extract import mirror
from ..archive.zipreader import FUNCTION_LIMITS, open_archive
from ..edge.locks import alone
from ..errors import PipelineError
from ..local.function_code import FunctionCode, FunctionConfig
from ..local.pool import LocalRuntime
from ..octopus.variables import names_in
from ..values.handler import check_handler
from ..values.project import LOCAL_ENVIRONMENT, Function
from .compiled import owner
from .handler_facts import FunctionFiles, HandlerCheck, Known
from .handler_import import NOT_CALLABLE, ImportFailure, import_handler

__all__ = ["STACK", "handler_check"]

_MACHINES = {"aarch64": "arm64", "amd64": "x86_64"}
STACK = "environment/stack.yaml"
# Kinds of failure whose message says it all.
_SAID = ("ImportModuleError", "HandlerNotFound", "UserCodeSyntaxError", "exit")
_MISSING = re.compile(r"No module named '(\w+)")


def handler_check(
    function: Function,
    files: FunctionFiles,
    runtime: LocalRuntime,
    known: Known,
    places: tuple[Path, str],
) -> HandlerCheck:
    """Import the handler with the variables that are known.

    `places` are a folder that may be kept for the next time, and the stack's text.
    """
    home, stack = places
    done = _imported(function, files, runtime, known, home)
    if isinstance(done, float):
        return HandlerCheck(f"handler imported in {done:.1f} s")
    if done.kind == NOT_CALLABLE:
        return HandlerCheck(reason=f"the handler {function.handler} {done.message}")
    elsewhere = _foreign(done, function, files, runtime)
    excuse = (
        elsewhere
        or _unset(done, known, stack)
        or ("it looks for something that is not on this machine" if done.outside else "")
        or _layers(done, stack)
    )
    if not excuse:
        return HandlerCheck(reason=_told(done, function.handler, files.own))
    try:
        check_handler(files.path.read_bytes(), function.handler, where="check")
    except PipelineError as error:
        return HandlerCheck(reason=error.what)
    if elsewhere:
        # Nothing that anybody could put right here, so no warning with each build.
        return HandlerCheck(f"handler found, not imported: {elsewhere}")
    where = f"{done.place}: " if done.place else ""
    note = f"the handler was looked for, not imported: {excuse} ({where}{done.message})"
    return HandlerCheck("handler found", note=note)


def _imported(
    function: Function, files: FunctionFiles, runtime: LocalRuntime, known: Known, home: Path
) -> ImportFailure | float:
    with alone(home.with_name(f"{home.name}.lock"), lambda: None):
        mirror(open_archive(files.path, FUNCTION_LIMITS), home / "task")
        code = FunctionCode(
            folder=home / "task",
            handler=function.handler,
            runtime_python=runtime.python,
            ric=runtime.ric,
            extra_paths=runtime.extra_paths,
        )
        config = FunctionConfig(
            function.name, runtime=function.runtime.name, environment=known.values
        )
        return import_handler(code, config, home / "bytecode")


def _foreign(
    failure: ImportFailure, function: Function, files: FunctionFiles, runtime: LocalRuntime
) -> str:
    """Tell whether this machine could not have imported it, whatever is right or wrong with it."""
    if runtime.version != function.runtime.python:
        return f"here is Python {runtime.version}"
    missing = _MISSING.match(failure.message)
    brought = {owner(entry.name) for entry in open_archive(files.path, FUNCTION_LIMITS).entries}
    if (missing and missing[1] not in brought) or failure.kind == "UserCodeSyntaxError":
        return ""
    machine = platform.machine().lower()
    machine = _MACHINES.get(machine, machine)
    needed = any(binary.machine == function.architecture for binary in files.binaries.values())
    if machine != function.architecture and needed:
        return f"files for {function.architecture}"
    return ""


def _unset(failure: ImportFailure, known: Known, stack: str) -> str:
    """Tell whether only a variable is missing that a deploy or the stack does set."""
    for name, template in known.others.items():
        if _names(failure.message, name):
            needs = ", ".join(names_in({name: template}))
            table = f"[tool.pipeline.environments.{LOCAL_ENVIRONMENT}.variables]"
            return f"{name} has no value here; put {needs} into {table}"
    name = failure.message.strip("'\"")
    if failure.kind == "KeyError" and name and _names(stack, name):
        return f"{name} has no value here, {STACK} has one"
    return ""


def _names(text: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def _layers(failure: ImportFailure, stack: str) -> str:
    if failure.kind == "ImportModuleError" and re.search(r"^\s*Layers:", stack, re.MULTILINE):
        return f"{STACK} has layers, which are not here"
    return ""


def _told(failure: ImportFailure, handler: str, own: frozenset[str]) -> str:
    file = failure.place.rpartition(":")[0]
    place = f"{'src/' if file in own else 'function.zip '}{failure.place}: " if file else ""
    kind = "" if failure.kind in _SAID else f"{failure.kind}: "
    what = f"{place}{kind}{failure.message}"
    return f"the handler {handler} cannot be imported: {what}{_hint(failure, handler)}"


def _hint(failure: ImportFailure, handler: str) -> str:
    if missing := _MISSING.match(failure.message):
        if missing[1] == re.split(r"[./]", handler)[0]:
            return "; is handler right in pyproject.toml, and the file in git?"
        return f"; add {missing[1]} to dependencies in pyproject.toml, then `python3 tasks.py lock`"
    if failure.kind == "HandlerNotFound":
        return "; correct handler in pyproject.toml, or add the function"
    if failure.kind == "KeyError":
        return "; a variable's name belongs into [tool.pipeline.function.environment]"
    return ""
