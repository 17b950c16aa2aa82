"""The handler is imported as Lambda would, and a failure is told where it can be put right."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from pipeline.archive.zipreader import members_of
from pipeline.engines.compiled import compiled_files
from pipeline.engines.handler_check import handler_check
from pipeline.engines.handler_facts import FunctionFiles, HandlerCheck, Known
from pipeline.local.pool import LocalRuntime
from pipeline.values.project import Function
from pipeline.values.runtimes import Runtime, runtime_named

from tests.checks.checks_support import ARM64, X86_64, elf, fat_macho, zip_of
from tests.checks.conftest import MINOR

Check = Callable[..., HandlerCheck]

HERE = platform.machine()
NOTHING = Known({}, {})
FINE = "def handle(event, context): ...\n"


def _runtime() -> Runtime:
    """Return the runtime of the tests' Python."""
    return runtime_named(f"python{MINOR}", where="test")


def checker(tmp_path: Path, under: LocalRuntime, architecture: str = "x86_64") -> Check:
    """Return a function that checks `app.handle` of a zip of these files."""

    def check(
        files: Mapping[str, str | bytes],
        *,
        handler: str = "app.handle",
        known: Known = NOTHING,
        stack: str = "",
        brought: tuple[str, ...] = (),
    ) -> HandlerCheck:
        plain = {
            name: data.encode() if isinstance(data, str) else data for name, data in files.items()
        }
        path = tmp_path / "function.zip"
        binaries = compiled_files(members_of(zip_of(path, plain)))
        own = frozenset(plain) - frozenset(brought)
        zipped = FunctionFiles(path, own, binaries)
        function = Function("F", _runtime(), architecture, handler, "", {}, {})
        return handler_check(function, zipped, under, known, (tmp_path / "import", stack))

    return check


@pytest.fixture
def check(runtime: LocalRuntime, tmp_path: Path) -> Check:
    """Return the check on the runtime of these tests."""
    return checker(tmp_path, runtime)


def test_a_good_handler(check: Check) -> None:
    """A handler that can be imported is said to be, with the time it took."""
    done = check({"app.py": FINE})
    assert (done.reason, done.note) == ("", "")
    assert done.found.startswith("handler imported in ")


@pytest.mark.parametrize("handler", ["pkg/sub/app.handle", "pkg.sub.app.handle"])
def test_both_forms_of_a_handler(check: Check, handler: str) -> None:
    """Slashes and dots both lead into folders."""
    assert check({"pkg/sub/app.py": FINE}, handler=handler).reason == ""


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "import os\n\nimport requests\n",
            "src/app.py:3: No module named 'requests'; add requests",
        ),
        ("from os import nothing_like_it\n", "src/app.py:1: cannot import name 'nothing_like_it'"),
        ("def handle(event, context)\n    pass\n", "src/app.py:1: Syntax error in module 'app'"),
        ("def handel(event, context): ...\n", "Handler 'handle' missing on module 'app'; correct"),
        ("x = 1\ny = x / 0\n", "src/app.py:2: ZeroDivisionError: division by zero"),
        (
            "import os\nos.environ['HOST_1']\n",
            "src/app.py:2: KeyError: 'HOST_1'; a variable's name",
        ),
        ("print('no more')\nraise SystemExit(4)\n", "ended with exit code 4: no more"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "exit code -11"),
        ("open('settings.json')\n", "src/app.py:1: FileNotFoundError"),
    ],
)
def test_what_fails_on_lambda_fails_here(check: Check, source: str, said: str) -> None:
    """Each failure is told with file, line and what to do."""
    done = check({"app.py": source})
    assert done.found == ""
    assert done.reason.startswith("the handler app.handle cannot be imported: ")
    assert said in done.reason


def test_a_failure_deep_inside(check: Check) -> None:
    """The line that failed is told, not the one that imported it, and whose file it is."""
    files = {
        "app.py": "import helper\n" + FINE,
        "helper.py": "import lib\n",
        "lib.py": "\nimport no\n",
    }
    assert "function.zip lib.py:2: No module named 'no'" in check(files, brought=("lib.py",)).reason
    assert "src/lib.py:2: No module named 'no'" in check(files).reason


def test_a_missing_module_of_the_handler(check: Check) -> None:
    """A handler in a file that is not there is not taken for a dependency."""
    reason = check({"other.py": FINE}).reason
    assert "No module named 'app'; is handler right in pyproject.toml" in reason


def test_dependencies_of_this_machine_are_not_seen(check: Check) -> None:
    """What is installed for the tests or the pipeline does not hide what is not in the zip."""
    assert "No module named 'pytest'" in check({"app.py": "import pytest\n" + FINE}).reason


def test_the_environment_is_lambdas(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module sees the function's variables and no secret of this process."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a real secret")
    monkeypatch.setenv("TOKEN", "a real token")
    source = (
        "import json, os\nraise ValueError(json.dumps([os.environ.get(name) for name in "
        "('AWS_SECRET_ACCESS_KEY', 'TOKEN', 'HOST_1', '_HANDLER')]))\n"
    )
    reason = check({"app.py": source}, known=Known({"HOST_1": "here"}, {})).reason
    assert json.loads(reason.partition("ValueError: ")[2]) == ["local", None, "here", "app.handle"]


def test_a_variable_that_only_a_deploy_knows(check: Check) -> None:
    """A module that lacks nothing but such a variable is looked at, and what to do is told."""
    source = "import os\nHOST = os.environ['DB_HOST']\n" + FINE
    known = Known({}, {"DB_HOST": "#{Db.Host}"})
    done = check({"app.py": source}, known=known)
    assert (done.found, done.reason) == ("handler found", "")
    assert "DB_HOST has no value here; put Db.Host into [tool.pipeline.environments" in done.note
    assert "app.py:2" in done.note
    missing = check({"app.py": "import os\nos.environ['DB_HOST']\n"}, known=known)
    assert "defines no handle" in missing.reason


def test_a_variable_of_the_stack(check: Check) -> None:
    """A variable that the stack sets is not held against the package, another one is."""
    source = "import os\nTABLE = os.environ['TABLE']\n" + FINE
    stack = "Environment:\n  Variables:\n    TABLE: !Ref Table\n"
    assert "TABLE has no value here, environment/stack.yaml has one" in (
        check({"app.py": source}, stack=stack).note
    )
    assert "KeyError: 'TABLE'" in check({"app.py": source}, stack="TABLES: 3\n").reason


@pytest.mark.parametrize(
    "source",
    [
        "import urllib.request, os\nurllib.request.urlopen(os.environ['AWS_ENDPOINT_URL'])\n",
        "raise ConnectionRefusedError('no database')\n",
        "open('/mnt/models/large.bin')\n",
    ],
)
def test_what_looks_for_the_world(check: Check, source: str) -> None:
    """A module that needs a network or a mounted disk while it is imported is looked at instead."""
    done = check({"app.py": FINE + source})
    assert (done.found, done.reason) == ("handler found", "")
    assert "something that is not on this machine" in done.note


def test_layers(check: Check) -> None:
    """A module may lie in a layer of the stack: it is not held against the package."""
    source = "import from_a_layer\n" + FINE
    done = check({"app.py": source}, stack="  Layers:\n    - arn:...\n")
    assert "environment/stack.yaml has layers" in done.note
    assert check({"app.py": source}, stack="# Layers: none\n").reason


def test_files_for_another_machine(tmp_path: Path, runtime: LocalRuntime) -> None:
    """What cannot be loaded here is excused; what is missing anywhere is not."""
    other, code = ("x86_64", X86_64) if HERE == "aarch64" else ("arm64", ARM64)
    files = {"fast/_c.so": elf(code), "fast/__init__.py": "import fast._c\n"}
    check, brought = checker(tmp_path, runtime, other), tuple(files)
    done = check({**files, "app.py": "import fast\n" + FINE}, brought=brought)
    assert done == HandlerCheck(f"handler found, not imported: files for {other}")
    done = check({**files, "app.py": "import nowhere\n" + FINE}, brought=brought)
    assert "No module named 'nowhere'" in done.reason


def test_a_helper_for_another_machine_excuses_nothing(
    tmp_path: Path, runtime: LocalRuntime
) -> None:
    """A package with a program for macOS says nothing about a module that fails here."""
    files = {"selenium/macos/manager": fat_macho(2), "selenium/__init__.py": b""}
    check = checker(tmp_path, runtime, "arm64" if HERE == "aarch64" else "x86_64")
    source = b"import selenium\nx = 1 / 0\n"
    done = check({**files, "app.py": source}, brought=tuple(files))
    assert "ZeroDivisionError" in done.reason


def test_a_handler_that_is_no_function(tmp_path: Path, runtime: LocalRuntime) -> None:
    """What cannot be called is told, however it came by its name, and on any Python."""
    check = checker(tmp_path, replace(runtime, version="3.99"))
    files = {"app.py": "from other import *\n", "other.py": "handle = int('5')\n"}
    reason = check(files).reason
    assert reason == "the handler app.handle is no function but of type int"
    assert check({**files, "other.py": "handle = type('T', (), {'__call__': 1})()\n"}).found


def test_another_python(tmp_path: Path, runtime: LocalRuntime) -> None:
    """On another minor than the runtime's a failure proves nothing, a success still counts."""
    check = checker(tmp_path, replace(runtime, version="3.99"))
    done = check({"app.py": "import only_there\n" + FINE})
    assert done == HandlerCheck("handler found, not imported: here is Python 3.99")
    assert check({"app.py": FINE}).found.startswith("handler imported")


def test_the_folder_follows_the_zip(check: Check) -> None:
    """What an earlier zip had is not found in the next one, compiled modules included."""
    assert check({"app.py": "import helper\n" + FINE, "helper/__init__.py": ""}).reason == ""
    assert "No module named 'helper'" in check({"app.py": "import helper\n" + FINE}).reason
    # The same size within the same second: compiled modules must not outlive their source.
    assert check({"app.py": "import os\n" + FINE}).reason == ""
    assert "No module named 'no'" in check({"app.py": "import no\n" + FINE}).reason
