"""Whether a handler is where it is said to be, found without importing anything."""

from __future__ import annotations

import ast
import symtable
import tempfile
import warnings
from collections.abc import Callable, Collection
from importlib.util import decode_source
from pathlib import Path

from ...edge.machine import Machine
from ...edge.shell import run
from ...project.project import Function
from ..handler import FunctionFiles, HandlerCheck

_FOUND = HandlerCheck("handler found")
# Sources lie in the folder by number: for the function's Python to read, and to import nothing.
_COMPILE = """\
import sys
for number, path in enumerate(sys.argv[1:]):
    try:
        with open(str(number), "rb") as source:
            compile(source.read(), path, "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        print(path, getattr(error, "lineno", 0), getattr(error, "msg", error), sep=":")
        break
"""


def check(function: Function, files: FunctionFiles, read: Callable[[str], bytes]) -> HandlerCheck:
    """Look for the handler in its module's source, of which `read` gives our own; nothing is run.

    The last dot splits the function off; slashes are folders, as dots are. What the name stands
    for is not looked at. A module that makes it in a way that only running it can show (an import
    of `*`, compiled code), or that this Python cannot read, is not refused.
    """
    module, _, name = function.handler.rpartition(".")
    path = module.replace(".", "/")
    file = handler_file(files.names, function.handler)
    if not file:
        compiled = (other for other in files.names if other.endswith((".so", ".pyd")))
        if any(other.startswith(f"{path}.") for other in compiled):
            return _FOUND
        advice = files.advice(module.replace("/", "."))
        return _missing(function, f"there is no {path}.py in function.zip{advice}")
    if file not in files.own or _may_bind(read(file), file, name):
        return _FOUND
    return _missing(function, f"{file} defines no {name}")


def check_syntax(
    function: Function, files: FunctionFiles, read: Callable[[str], bytes], machine: Machine
) -> HandlerCheck:
    """Let the function's Python read the repository's modules, where it is here.

    Only the handler's own is sure to be imported: another one that is no Python is a warning.
    """
    file, version = handler_file(files.own, function.handler), function.runtime.version
    python = machine.python(version)
    if python is None:
        return HandlerCheck(f"handler found, not read: there is no Python {version} here")
    modules = sorted((name for name in files.own if name.endswith(".py")), key=file.__ne__)
    with tempfile.TemporaryDirectory(prefix="source-") as scratch:
        for number, name in enumerate(modules):
            Path(scratch, str(number)).write_bytes(read(name))
        words: list[str | Path] = [python, "-I", "-S", "-c", _COMPILE, *modules]
        problem = run(words, cwd=Path(scratch)).stdout.strip()
    if not problem:
        return _FOUND
    name, line, message = problem.split(":", 2)
    told = f"{files.shown(f'{name}:{line}')}: {message}"
    return HandlerCheck(reason=told) if name == file else HandlerCheck("handler found", note=told)


def handler_file(names: Collection[str], handler: str) -> str:
    """Return which of a function's files is the source of the handler's module; empty if none."""
    path = handler.rpartition(".")[0].replace(".", "/")
    return next((file for file in (f"{path}.py", f"{path}/__init__.py") if file in names), "")


def _missing(function: Function, why: str) -> HandlerCheck:
    return HandlerCheck(reason=f"the handler {function.handler} is missing: {why}")


def _may_bind(source: bytes, file: str, name: str) -> bool:
    """Tell whether a module's own statements may bind a name, those inside `if` and `try` too."""
    # A build server would show what Python warns of, on standard error, as a failure.
    with warnings.catch_warnings(action="ignore"):
        try:
            text = decode_source(source)
            statements = ast.walk(ast.parse(text))
            names = symtable.symtable(text, file, "exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return True
    if any(isinstance(one, ast.ImportFrom) and one.names[0].name == "*" for one in statements):
        return True
    found = name in names.get_identifiers() and names.lookup(name)
    return bool(found and (found.is_assigned() or found.is_imported()))
