"""Whether a handler is where it is said to be, found without importing anything."""

from __future__ import annotations

import ast
import inspect
import symtable
import sys
import tempfile
import warnings
from collections.abc import Callable, Collection
from importlib.util import decode_source
from pathlib import Path
from types import CodeType

from ...edge.machine import Machine
from ...edge.shell import run
from ...project.project import Function
from ..handler import FunctionFiles, HandlerCheck

ASYNC = "is async, which Lambda does not await: call it with asyncio.run in a plain function"
GENERATOR = "is a generator, whose values Lambda does not take: return one value instead"
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

    The last dot splits the function off; slashes are folders, as dots are. Refused is a name
    that is not there, or only ever an `async` function or a generator. A module that makes it in
    a way that only running it can show (an import of `*`, compiled code), or that this Python
    cannot read, is not.
    """
    module, _, name = function.handler.rpartition(".")
    path = module.replace(".", "/")
    file = handler_file(files.names, function.handler)
    if not file:
        compiled = (other for other in files.names if other.endswith((".so", ".pyd")))
        if any(other.startswith(f"{path}.") for other in compiled):
            return _FOUND
        advice = files.advice(module.replace("/", "."))
        return _refused(function, f"is missing: there is no {path}.py in function.zip{advice}")
    wrong = _wrong(read(file), file, name) if file in files.own else ""
    return _refused(function, wrong) if wrong else _FOUND


def check_syntax(
    function: Function, files: FunctionFiles, read: Callable[[str], bytes], machine: Machine
) -> HandlerCheck:
    """Let the function's Python read the repository's modules, or this one where it is newer.

    One that is no Python is refused where the handler is sure to import it, else a warning.
    """
    version = function.runtime.version
    is_newer = sys.version_info >= tuple(map(int, version.split(".")))
    python = machine.python(version) or (Path(sys.executable) if is_newer else None)
    if python is None:
        return HandlerCheck(f"handler found, not read: there is no Python {version} here")
    sure = _loaded(function.handler.rpartition(".")[0].replace("/", "."), files, read)
    others = sorted(name for name in {*files.own} - {*sure} if name.endswith(".py"))
    modules = [*sure, *others]
    with tempfile.TemporaryDirectory(prefix="source-") as scratch:
        for number, name in enumerate(modules):
            Path(scratch, str(number)).write_bytes(read(name))
        words: list[str | Path] = [python, "-I", "-S", "-c", _COMPILE, *modules]
        problem = run(words, cwd=Path(scratch)).stdout.strip()
    if not problem:
        return _FOUND
    name, line, message = problem.split(":", 2)
    told = f"{files.shown(f'{name}:{line}')}: {message}"
    return HandlerCheck(reason=told) if name in sure else HandlerCheck("handler found", note=told)


def handler_file(names: Collection[str], handler: str) -> str:
    """Return which of a function's files is the source of the handler's module; empty if none."""
    path = handler.rpartition(".")[0].replace(".", "/")
    return next((file for file in (f"{path}.py", f"{path}/__init__.py") if file in names), "")


def _loaded(module: str, files: FunctionFiles, read: Callable[[str], bytes]) -> list[str]:
    """Return the repository's files that a module's import loads for certain, as far as we read."""
    loaded: list[str] = []
    waiting = [module]
    while waiting:
        parts = waiting.pop(0).split(".")
        for end in range(1, len(parts) + 1):
            # A module comes after the packages that it lies in.
            path = handler_file(files.own, f"{'.'.join(parts[:end])}.")
            if path and path not in loaded:
                loaded.append(path)
                waiting += _imported(read(path), path)
    return loaded


def _imported(source: bytes, path: str) -> list[str]:
    """Return the modules that a file's own statements import; some may be names in a module."""
    modules: list[str] = []
    tree = _parsed(source)
    for node in tree.body if tree else ():
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = path.split("/")[: -node.level] if node.level else []
            base = ".".join([*package, *filter(None, [node.module])])
            modules += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return modules


def _parsed(source: bytes) -> ast.Module | None:
    """Return a module's tree, None where this Python cannot read it."""
    # A build server would show what Python warns of, on standard error, as a failure.
    with warnings.catch_warnings(action="ignore"):
        try:
            return ast.parse(decode_source(source))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _refused(function: Function, why: str) -> HandlerCheck:
    return HandlerCheck(reason=f"the handler {function.handler} {why}")


def _wrong(source: bytes, file: str, name: str) -> str:
    """Return why a name cannot be a handler, as far as its module's source can tell."""
    # A build server would show what Python warns of, on standard error, as a failure.
    with warnings.catch_warnings(action="ignore"):
        try:
            text = decode_source(source)
            nodes = [*ast.walk(ast.parse(text))]
            names = symtable.symtable(text, file, "exec")
            code = compile(text, file, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return ""
    if any(isinstance(one, ast.ImportFrom) and one.names[0].name == "*" for one in nodes):
        return ""
    found = name in names.get_identifiers() and names.lookup(name)
    if not found or not (found.is_assigned() or found.is_imported()):
        return f"is missing: {file} defines no {name}"
    bound = [
        one
        for one in nodes
        if name in (getattr(one, "name", ""), getattr(one, "asname", ""))
        or (isinstance(one, ast.Name) and one.id == name and isinstance(one.ctx, ast.Store))
    ]
    # A decorator may make another function of it.
    plain = [
        one
        for one in bound
        if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)) and not one.decorator_list
    ]
    if not bound or plain != bound:
        return ""
    made = {one.co_firstlineno: one.co_flags for one in code.co_consts if isinstance(one, CodeType)}
    flags = [made.get(one.lineno, 0) for one in plain]
    if all(flag & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR) for flag in flags):
        return ASYNC
    return GENERATOR if all(flag & inspect.CO_GENERATOR for flag in flags) else ""
