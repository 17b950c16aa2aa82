"""Whether a handler is where it is said to be, found without importing anything."""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from ...edge.machine import Machine
from ...edge.shell import run
from ...project.project import Function
from ..handler import FunctionFiles, HandlerCheck

_COMPILE = """\
import sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
for path in sys.argv[2:]:
    try:
        compile(archive.read(path), "", "exec")
    except (SyntaxError, ValueError) as error:
        print(f"{path}:{getattr(error, 'lineno', 0)}: {getattr(error, 'msg', error)}")
        break
"""
ASYNC = "is async, which Lambda does not await: call it with asyncio.run in a plain function"
GENERATOR = "is a generator, whose values Lambda does not take: return one value instead"
_CONSTANT = "is no function: {file} sets {name} to a constant"
_FOUND = HandlerCheck("handler found")


def check(function: Function, files: FunctionFiles, read: Callable[[str], bytes]) -> HandlerCheck:
    """Look at the source of the handler, of which `read` gives files; nothing is run.

    The last dot splits the function off; slashes are folders, as dots are. A module that makes
    the name in a way that only running it can show (an import of `*`) is not refused. A name that
    is only ever a number, a text, or a function that Lambda cannot call is refused; None may be
    filled in later. The repository's modules that it loads at once have to be Python too; of a
    newer Python's module this one cannot tell what is wrong in it.
    """
    module, _, name = function.handler.rpartition(".")
    path = module.replace(".", "/")
    file = handler_file(files.names, function.handler)
    if not file:
        if any(
            other.startswith(f"{path}.") and other.endswith((".so", ".pyd"))
            for other in files.names
        ):
            return _FOUND
        advice = files.advice(module.replace("/", "."))
        return _refused(function, f"is missing: there is no {path}.py in function.zip{advice}")
    modules, error = _loaded(file, files, read)
    if error:
        here = sys.version_info[:2]
        if here < tuple(map(int, function.runtime.version.split("."))):
            return HandlerCheck(f"{error.filename} not read: here is Python {here[0]}.{here[1]}")
        place = files.shown(f"{error.filename}:{error.lineno}")
        return HandlerCheck(reason=f"{place}: {error.msg}")
    names = _top_level_names(modules[file])
    missing = f"is missing: {file} defines no {name}"
    wrong = "" if names is None else names.get(name, missing)
    return _refused(function, wrong.format(file=file, name=name)) if wrong else _FOUND


def _refused(function: Function, why: str) -> HandlerCheck:
    return HandlerCheck(reason=f"the handler {function.handler} {why}")


def check_syntax(
    function: Function, files: FunctionFiles, read: Callable[[str], bytes], machine: Machine
) -> HandlerCheck | None:
    """Let the function's Python read the source, where it is another one than this, and here."""
    file = handler_file(files.names, function.handler)
    if not file or function.runtime.version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return None
    python = machine.python(function.runtime.version)
    if python is None:
        return None
    modules, error = _loaded(file, files, read)
    paths = [*modules, error.filename or ""] if error else [*modules]
    problem = syntax_problem(python, files.path, paths)
    return HandlerCheck("handler found", problem and files.shown(problem))


def handler_file(names: Collection[str], handler: str) -> str:
    """Return which of a function's files is the source of the handler's module; empty if none."""
    path = handler.rpartition(".")[0].replace(".", "/")
    return next((file for file in (f"{path}.py", f"{path}/__init__.py") if file in names), "")


def _loaded(
    file: str, files: FunctionFiles, read: Callable[[str], bytes]
) -> tuple[dict[str, ast.Module], SyntaxError | None]:
    """Parse what an import of a file loads for certain of the repository's own modules.

    Ends with the error of the first that is no Python of ours; its `filename` says which.
    """
    modules: dict[str, ast.Module] = {}
    waiting = [*_own(file.removesuffix(".py").replace("/", "."), files), file]
    for path in waiting:
        if path in modules:
            continue
        try:
            modules[path] = _parsed(read(path))
        except SyntaxError as error:
            error.filename = path
            return modules, error
        for node in modules[path].body:
            for name in _imported(node, path):
                waiting += _own(name, files)
    return modules, None


def _imported(node: ast.stmt, path: str) -> list[str]:
    """Return the modules that a statement of a file imports; some may be names in a module."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    package = path.split("/")[: -node.level] if node.level else []
    module = ".".join([*package, *filter(None, [node.module])])
    return [module, *(f"{module}.{alias.name}".lstrip(".") for alias in node.names)]


def _own(module: str, files: FunctionFiles) -> list[str]:
    """Return the repository's files that are loaded with a module: its packages, then itself."""
    parts = module.split(".")
    names = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
    return [file for name in names if (file := handler_file(files.own, f"{name}."))]


def _parsed(source: bytes) -> ast.Module:
    with warnings.catch_warnings():
        # A build server would show them, on standard error, as a failure.
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(source)
            # A `return` outside a function is found by this one only.
            compile(source, "", "exec", dont_inherit=True)
        except (ValueError, RecursionError, MemoryError) as error:
            # What Python 3.11 says of a null byte, and any of what is nested too deep.
            raise SyntaxError(str(error) or type(error).__name__) from error
    return tree


def _top_level_names(tree: ast.Module) -> dict[str, str] | None:
    """Return the names that a module's statements bind, those inside `if` and `try` included.

    Each with why it cannot be a handler, empty where it may be one. None when an import of `*`
    may bind any name.
    """
    names: dict[str, str] = {}
    stack: list[ast.AST] = list(tree.body)
    while stack:
        node = stack.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if wrong := _uncallable(node):
                names.setdefault(node.name, wrong)
            else:
                names[node.name] = ""
            continue
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and _is_constant(node.value):
            for part in ast.walk(node):
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                    names.setdefault(part.id, _CONSTANT)
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            bound = [alias.asname or alias.name.split(".")[0] for alias in node.names]
            if "*" in bound:
                return None
            names.update(dict.fromkeys(bound, ""))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names[node.id] = ""
        stack.extend(ast.iter_child_nodes(node))
    return names


def _uncallable(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str:
    # A decorator may make another function of it.
    if node.decorator_list or isinstance(node, ast.ClassDef):
        return ""
    if isinstance(node, ast.AsyncFunctionDef):
        return ASYNC
    inner: list[ast.AST] = list(node.body)
    while inner:
        part = inner.pop()
        if isinstance(part, (ast.Yield, ast.YieldFrom)):
            return GENERATOR
        if not isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            inner.extend(ast.iter_child_nodes(part))
    return ""


def _is_constant(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is not None


def syntax_problem(python: Path, archive: Path, paths: Sequence[str]) -> str:
    """Return `path:line: message` of the first module in a zip that a Python cannot compile."""
    command: list[str | Path] = [python, "-I", "-S", "-c", _COMPILE, archive.resolve(), *paths]
    return run(command, cwd=archive.parent).stdout.strip()
