"""Whether a handler is where it is said to be, found without importing anything."""

from __future__ import annotations

import ast
import symtable
import sys
import warnings
from collections.abc import Callable, Collection
from importlib.util import decode_source

from ...project.project import Function
from ..handler import FunctionFiles, HandlerCheck


def check(function: Function, files: FunctionFiles, read: Callable[[str], bytes]) -> HandlerCheck:
    """Look for the handler in its module's source, of which `read` gives files; nothing is run.

    The last dot splits the function off; slashes are folders, as dots are. What the name stands
    for is not looked at, and a module that makes it in a way that only running it can show (an
    import of `*`, compiled code) is not refused.
    """
    module, _, name = function.handler.rpartition(".")
    path = module.replace(".", "/")
    file = handler_file(files.names, function.handler)
    if not file:
        if any(
            other.startswith(f"{path}.") and other.endswith((".so", ".pyd"))
            for other in files.names
        ):
            return HandlerCheck("handler found")
        advice = files.advice(module.replace("/", "."))
        return _missing(function, f"there is no {path}.py in function.zip{advice}")
    source = read(file)
    if wrong := _syntax_error(file, source, files):
        if _is_newer(function):
            here = f"{sys.version_info.major}.{sys.version_info.minor}"
            return HandlerCheck(f"{file} not read: here is Python {here}")
        return HandlerCheck(reason=wrong)
    if not _may_bind(source, file, name):
        return _missing(function, f"{file} defines no {name}")
    return HandlerCheck("handler found")


def check_syntax(function: Function, files: FunctionFiles, read: Callable[[str], bytes]) -> str:
    """Return the place and the error of the first of the repository's modules that is no Python.

    It may never be imported, or be for another Python only. Of a newer Python's nothing is said.
    """
    modules = (name for name in sorted(files.own) if name.endswith(".py"))
    if _is_newer(function):
        return ""
    return next(filter(None, (_syntax_error(name, read(name), files) for name in modules)), "")


def handler_file(names: Collection[str], handler: str) -> str:
    """Return which of a function's files is the source of the handler's module; empty if none."""
    path = handler.rpartition(".")[0].replace(".", "/")
    return next((file for file in (f"{path}.py", f"{path}/__init__.py") if file in names), "")


def _is_newer(function: Function) -> bool:
    """Tell whether the function's Python knows more than this one."""
    return sys.version_info[:2] < tuple(map(int, function.runtime.version.split(".")))


def _missing(function: Function, why: str) -> HandlerCheck:
    return HandlerCheck(reason=f"the handler {function.handler} is missing: {why}")


def _syntax_error(file: str, source: bytes, files: FunctionFiles) -> str:
    # A build server would show them, on standard error, as a failure.
    with warnings.catch_warnings(action="ignore"):
        try:
            compile(source, file, "exec", dont_inherit=True)
        except SyntaxError as error:
            return f"{files.shown(f'{file}:{error.lineno}')}: {error.msg}"
        except (ValueError, RecursionError, MemoryError) as error:
            # What Python 3.11 says of a null byte, and any of what is nested too deep.
            return f"{files.shown(file)}: {str(error) or type(error).__name__}"
    return ""


def _may_bind(source: bytes, file: str, name: str) -> bool:
    """Tell whether a module's own statements may bind a name, those inside `if` and `try` too."""
    with warnings.catch_warnings(action="ignore"):
        text = decode_source(source)
        statements = ast.walk(ast.parse(text))
        names = symtable.symtable(text, file, "exec")
    if any(isinstance(one, ast.ImportFrom) and one.names[0].name == "*" for one in statements):
        return True
    found = name in names.get_identifiers() and names.lookup(name)
    return bool(found and (found.is_assigned() or found.is_imported()))
