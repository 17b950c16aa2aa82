"""The handler check: what Lambda would find is found, without running anything."""

from __future__ import annotations

import io
import keyword
import sys
import warnings
import zipfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.edge.machine import Machine
from pipeline.function.handler import FunctionFiles, HandlerCheck
from pipeline.function.python.handler_source import check, check_syntax
from pipeline.project.project import Function
from pipeline.project.runtimes import Runtime

from tests.words import assert_said

FOUND = HandlerCheck("handler found")
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
names = st.from_regex(r"[a-z_][a-z0-9_]{0,12}", fullmatch=True).filter(
    lambda name: not keyword.iskeyword(name)
)


def check_handler(code: bytes, handler: str) -> HandlerCheck:
    """Look for a handler in a function zip."""
    with zipfile.ZipFile(io.BytesIO(code)) as archive:
        names = archive.namelist()
        files = FunctionFiles(Path("function.zip"), names, names, {})
        return check(function(handler), files, archive.read)


def function(handler: str, version: str = MINOR) -> Function:
    """Return a function with this handler, of a version of Python."""
    runtime = Runtime("", "python", version, (2, 34), "", date.max)
    return Function("F", runtime, "arm64", handler, "", {}, {})


def zipped(source: str | bytes, name: str = "app.py") -> bytes:
    """Return a zip with one file."""
    return zipped_files({name: source})


def zipped_files(files: Mapping[str, str | bytes]) -> bytes:
    """Return a zip with these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, source in files.items():
            archive.writestr(name, source)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "source",
    [
        "def handle(event, context): ...",
        "@run\nasync def handle(event, context): ...",
        "async def handle(event, context): ...\nhandle = run(handle)",
        "def handle(e, c):\n    def inner():\n        yield\n    return list(inner())",
        "def handle(e, c):\n    return (x for x in e)",
        "if new:\n    async def handle(e, c): ...\nelse:\n    def handle(e, c): ...",
        "class handle: ...",
        "handle = print",
        "handle: object = print",
        "handle, other = print, print",
        "from other import handle",
        "from other import anything as handle",
        "import handle",
        "import handle.inside",
        "import os.path as handle",
        "if True:\n    def handle(e, c): ...",
        "if False: ...\nelse:\n    handle = print",
        "try:\n    from fast import handle\nexcept ImportError:\n    from slow import handle",
        "with open('x') as handle: ...",
        "for handle in (): ...",
        "(handle := print)",
        "from other import *",
        "if True:\n    from other import *",
        "handle = None\ndef start():\n    global handle\n    handle = print\nstart()",
        "handle = 5\nhandle = print",
        "handle = print\nif False:\n    handle = 5",
        "handle: object = None",
    ],
)
def test_every_way_to_bind_the_name_counts(source: str) -> None:
    """Definitions, assignments and imports, inside `if` and `try`; `*` may hold anything."""
    assert check_handler(zipped(source), "app.handle") == FOUND


@pytest.mark.parametrize(
    "source",
    [
        "",
        "def handel(event, context): ...",
        "def outer():\n    def handle(e, c): ...",
        "class Outer:\n    def handle(self): ...",
        "print(handle)",
        "other.handle = print",
        "from handle import other",
        "import other.handle",
        "# def handle(e, c): ...",
        "'def handle(e, c): ...'",
    ],
)
def test_a_name_that_is_not_bound_is_missed(source: str) -> None:
    """Nested, misspelt, only read, or in a comment: it is not there, and the reason says where."""
    done = check_handler(zipped(source), "app.handle")
    assert_said(done.reason)


def test_what_lambda_does_not_wait_for() -> None:
    """It is seen in the source too, for a build may not be able to import it."""
    done = check_handler(zipped("async def handle(e, c): ..."), "app.handle")
    assert_said(done.reason)
    done = check_handler(zipped("if x:\n    def handle(e, c): yield 1"), "app.handle")
    assert_said(done.reason)


@pytest.mark.parametrize("handler", ["orders.api.handle", "orders/api.handle"])
def test_slashes_and_dots_are_folders(handler: str) -> None:
    """Both spellings that Lambda takes lead to the same file."""
    assert check_handler(zipped("def handle(e, c): ...", "orders/api.py"), handler) == FOUND
    done = check_handler(zipped("def handle(e, c): ...", "api.py"), handler)
    assert_said(done.reason, {handler: "HANDLER"})


def test_a_package_is_a_module() -> None:
    """The handler may be in a package's own file."""
    done = check_handler(zipped("handle = print", "orders/__init__.py"), "orders.handle")
    assert done == FOUND


def test_a_compiled_module_is_taken_on_trust() -> None:
    """An extension module cannot be read, so its file is enough."""
    code = zipped(b"\x7fELF", "app.cpython-313-aarch64-linux-gnu.so")
    assert check_handler(code, "app.handle") == FOUND


def test_what_this_python_cannot_read_is_taken_on_trust() -> None:
    """The function's Python may be newer, and tells better what is wrong."""
    for source in (b"def handle(:", b"\0"):
        assert check_handler(zipped(source), "app.handle") == FOUND


def syntax(
    handler: str, files: Mapping[str, bytes], python: str, version: str = MINOR
) -> HandlerCheck:
    """Let a Python read these files of the repository, beside one of a dependency."""
    every = {**files, "text.txt": b"if:", "lib.py": b"if:"}
    machine = SimpleNamespace(python=lambda _: Path(python) if python else None)
    zipped = FunctionFiles(Path("function.zip"), [*every], [*files, "text.txt"], {})
    return check_syntax(
        function(handler, version), zipped, every.__getitem__, cast("Machine", machine)
    )


@pytest.mark.parametrize("source", [b"x = 1\ndef handle(:\n", b"x = 1\n  y = 2\n", b"\nreturn x\n"])
def test_a_module_that_is_no_python_is_named_with_its_line(source: bytes) -> None:
    """What the handler's import loads is refused; another may never be: that is a warning."""
    files = {"a.py": source, "app.py": b"handle = print", "b.py": b"import lib"}
    done = syntax("app.handle", files, sys.executable)
    assert (done.found, done.note[:12]) == ("handler found", "src/a.py:2: ")
    done = syntax("a.handle", files, sys.executable)
    assert done.reason.startswith("src/a.py:2: ")
    files = {"app.py": b"from pkg.b import x", "pkg/b.py": b"from . import a", "pkg/a.py": source}
    files |= {"z.py": b"if:", "pkg/__init__.py": b"", "late.py": b"def f():\n    import z"}
    assert syntax("app.handle", files, sys.executable).reason.startswith("src/pkg/a.py:2: ")
    files["pkg/a.py"] = b""
    assert syntax("late.handle", files, sys.executable).note.startswith("src/z.py:1: ")
    assert syntax("a.handle", {"a.py": b"x = 1"}, sys.executable) == FOUND
    assert "null bytes" in syntax("a.handle", {"a.py": b"\0"}, sys.executable).reason
    assert "not read" in syntax("a.handle", {"a.py": source}, "", "3.99").found
    assert syntax("a.handle", {"a.py": source}, "", "3.9").reason.startswith("src/a.py:2: ")


def test_reading_a_module_warns_nobody() -> None:
    """Python's warnings go to standard error, where a build server sees a failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_handler(zipped(r"handle = '\d' is 1"), "app.handle") == FOUND


@given(
    names,
    names,
    # Python takes 20 of them.
    st.lists(st.sampled_from(["if x:", "try:", "with x:", "for _ in x:"]), max_size=15),
)
def test_a_function_at_any_depth_of_blocks_is_found(
    module: str, name: str, blocks: list[str]
) -> None:
    """However deep in statements that always run at import, a definition counts."""
    lines = [" " * depth + block for depth, block in enumerate(blocks)]
    lines.append(" " * len(blocks) + f"def {name}(e, c): ...")
    lines += [
        " " * depth + "finally: pass"
        for depth, block in reversed(list(enumerate(blocks)))
        if block == "try:"
    ]
    code = zipped("\n".join(lines), f"{module}.py")
    assert check_handler(code, f"{module}.{name}") == FOUND
    assert check_handler(code, f"{module}.{name}z").reason
