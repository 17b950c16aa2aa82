"""The handler is imported as Lambda would: it can be called, is refused, or was not imported."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pipeline.edge.machine import this_system
from pipeline.function.compiled import compiled_files
from pipeline.function.handler import (
    FunctionFiles,
    HandlerCheck,
    Known,
    known_values,
)
from pipeline.function.handler_import import Here
from pipeline.function.python.handler_check import Facts, check_import, outcome
from pipeline.project.project import Environment, Function
from pipeline.project.runtimes import Runtime, runtime_named
from pipeline.runtime.function_code import LocalRuntime
from pipeline.zip.reader import members_of

from tests.checks.checks_support import ARM64, X86_64, elf, fat_macho, zip_of
from tests.checks.conftest import MINOR
from tests.local.local_support import alive
from tests.words import assert_said

Check = Callable[..., HandlerCheck]

NOTHING = Known({}, {})
FINE = "def handle(event, context): ...\n"
REFUSED = "the handler app.handle cannot be imported: "
WARNED = "the handler was looked for, not imported: "
MACHINE = this_system().split()[1]
LINUX = f"linux {MACHINE}"


def _runtime() -> Runtime:
    """Return the runtime of the tests' Python."""
    return runtime_named(f"python{MINOR}", where="test")


def _function(architecture: str = MACHINE, handler: str = "app.handle") -> Function:
    return Function("F", _runtime(), architecture, handler, "", {}, {})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what a check keeps for the next one: what is compiled of Python, above all."""
    return tmp_path_factory.mktemp("kept") / "import"


def checker(home: Path, under: LocalRuntime, architecture: str = MACHINE) -> Check:
    """Return a function that checks `app.handle` of a zip of these files."""

    def check(files: Mapping[str, str | bytes], **about: Any) -> HandlerCheck:
        plain = {
            name: data.encode() if isinstance(data, str) else data for name, data in files.items()
        }
        path = home.with_name("function.zip")
        binaries = compiled_files(members_of(zip_of(path, plain)))
        own = frozenset(plain) - frozenset(about.get("brought", ()))
        locked, unknown = about.get("locked", ()), about.get("unknown", ())
        zipped = FunctionFiles(path, frozenset(plain), own, binaries, locked, unknown)
        known, layers = about.get("known", NOTHING), about.get("layers", False)
        here = Here(under, about.get("system", LINUX), known, layers)
        function = _function(architecture, about.get("handler", "app.handle"))
        return check_import(function, zipped, here, home, about.get("seconds", 10))

    return check


@pytest.fixture
def check(runtime: LocalRuntime, home: Path) -> Check:
    """Return the check on the runtime of these tests."""
    return checker(home, runtime)


def test_a_good_handler(check: Check) -> None:
    """A handler that can be imported is said to be, with the time it took."""
    done = check({"app.py": FINE})
    assert (done.reason, done.note) == ("", "")
    assert done.found.startswith("handler imported in ")


@pytest.mark.parametrize("handler", ["pkg/sub/app.handle", "pkg.sub.app.handle"])
def test_both_forms_of_a_handler(check: Check, handler: str) -> None:
    """Slashes and dots both lead into folders."""
    assert check({"pkg/sub/app.py": FINE}, handler=handler).reason == ""


def test_what_the_runtime_brings(tmp_path: Path, home: Path, runtime: LocalRuntime) -> None:
    """Modules of the runtime can be imported, and what one lacks here it may have on Lambda."""
    sdk = tmp_path / "sdk"
    sdk.mkdir()
    (sdk / "boto9.py").write_text("old = 1\n", encoding="utf-8")
    check = checker(home, replace(runtime, extra_paths=(sdk,)))
    assert check({"app.py": "import awslambdaric, boto9\n" + FINE}).found.startswith("handler im")
    done = check({"app.py": "from boto9 import new\n" + FINE})
    assert done.note.startswith(f"{WARNED}src/app.py:1: ImportError: cannot import name 'new'")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "import os\n\nimport requests\n",
            "src/app.py:3: No module named 'requests'; add requests to dependencies",
        ),
        ("from os import nowhere\n", "src/app.py:1: ImportError: cannot import name 'nowhere'"),
        ("from app import nowhere\n", "src/app.py:1: ImportError: cannot import name 'nowhere'"),
        ("x = 1\ndef handle(event, context)\n    pass\n", "src/app.py:2: SyntaxError: expected"),
        ("x = 1\nreturn x\n", "src/app.py:2: SyntaxError: 'return' outside function"),
        ("\n  x = 1\n", "src/app.py:2: IndentationError: unexpected indent"),
    ],
)
def test_what_is_wrong_inside_is_refused(check: Check, source: str, said: str) -> None:
    """A module or a name that is nowhere, and what is no Python: with file, line, what to do."""
    done = check({"app.py": source})
    assert (done.found, done.note) == ("", "")
    assert done.reason.startswith(REFUSED + said)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import socket\nsocket.create_connection(('127.0.0.1', 1))", "app.py:3: ConnectionRefu"),
        ("import urllib.request as u\nu.urlopen('http://127.0.0.1:1')", "app.py:3: URLError"),
        ("class DatabaseError(Exception): ...\nraise DatabaseError('x')", "app.py:3: DatabaseEr"),
        (
            "try: open('/mnt/x')\nexcept OSError as e: raise ValueError('no configuration') from e",
            "app.py:3: ValueError: no configuration",
        ),
        ("open('settings.json')", "app.py:2: FileNotFoundError"),
        ("import os\nos.environ['TABLE']", "app.py:3: KeyError: 'TABLE'"),
        ("x = 1 / 0", "app.py:2: ZeroDivisionError"),
        ("import ctypes\nctypes.CDLL('libnowhere.so')", "app.py:3: OSError: libnowhere.so"),
        ("raise ImportError('no libpq')", "app.py:2: ImportError: no libpq"),
        ("compile('x = = 1', 'template', 'exec')", "app.py:2: SyntaxError: invalid syntax"),
        ("import sys\nsys.exit('not configured')", "app.py:3: SystemExit: not configured"),
        ("import os\nprint('no more')\nos._exit(4)", "its process ended with exit code 4: no more"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "ended with signal 9"),
        ("def f(): f()\nf()", "app.py:2: RecursionError"),
        ("input('name?')", "app.py:2: EOFError"),
        ("class E(Exception):\n  def __str__(s): return 1 / 0\nraise E", "ended with exit code 1"),
        ("e = ImportError('x')\nraise e from e", "app.py:3: ImportError: x"),
        ("raise ValueError('x' * 9000 + chr(0xD800))", "app.py:2: ValueError: xxx"),
        ("raise ValueError('a\\nb\\n  c')", "app.py:2: ValueError: a b c"),
    ],
)
def test_the_world_is_not_held_against_the_package(check: Check, source: str, said: str) -> None:
    """Whatever else a module raises, and however its process ends, is a warning that says where."""
    done = check({"app.py": f"{FINE}{source}\n"})
    assert (done.found, done.reason) == ("handler found, not imported", "")
    assert done.note.startswith(WARNED)
    assert said in done.note
    assert len(done.note) < 600


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.sleep(60)\n",
        "import socket\ns = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); s.accept()\n",
        "import sys\nwhile True: sys.stdout.write('x' * 9999)\n",
    ],
)
def test_an_import_that_hangs(check: Check, source: str) -> None:
    """It is ended after Lambda's limit, and the line where it was is told."""
    done = check({"app.py": FINE + source}, seconds=0.5)
    assert done.found == "handler found, not imported"
    assert_said(done.note)


def test_what_a_module_starts_is_not_waited_for(check: Check, tmp_path: Path) -> None:
    """Threads and processes that an import leaves behind end with it; a last word is not run."""
    mark, started = tmp_path / "mark", tmp_path / "started"
    source = (
        "import atexit, subprocess, sys, threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\n"
        f"atexit.register(open, {str(mark)!r}, 'w')\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(started)!r}, 'w').write(str(child.pid))\n"
    )
    began = time.monotonic()
    assert check({"app.py": source + FINE}).found.startswith("handler imported")
    assert time.monotonic() - began < 30
    assert not alive(int(started.read_text(encoding="utf-8")))
    assert not mark.exists()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("async def handle(e, c): ...", "is async, which Lambda does not await"),
        ("async def handle(e, c):\n    yield 1", "is async, which Lambda does not await"),
        ("def handle(e, c):\n    yield 1", "is a generator, whose values Lambda does not take"),
        ("class App:\n    async def __call__(self, *scope): ...\nhandle = App()", "is async"),
        ("handle = int('5')", "is no function but of type int"),
        ("handle = type('T', (), {'__call__': 1})()", ""),
        ("from functools import partial\nhandle = partial(print, 1)", ""),
        ("import functools\nasync def f(e, c): ...\nhandle = functools.partial(f)", "is async"),
        ("def __getattr__(name): return print", ""),
        ("", "cannot import name 'handle' from 'other'"),
        (
            "@lambda asynchronous: print\nasync def handle(e, c): ...",
            "",
        ),
    ],
)
def test_what_lambda_can_call(check: Check, source: str, said: str) -> None:
    """What is no function, or one that Lambda would not wait for, is refused however it came."""
    done = check({"app.py": "from other import handle\n", "other.py": source})
    assert said in done.reason
    assert bool(done.reason) == bool(said)
    assert bool(done.found) != bool(said)


def test_a_name_that_an_import_of_everything_does_not_bring(check: Check) -> None:
    """Nobody can see it in the source."""
    reason = check({"app.py": "from other import *\n", "other.py": ""}).reason
    assert_said(reason)


def test_a_failure_deep_inside(check: Check) -> None:
    """The line that failed is told, not the one that imported it, and whose file it is."""
    files = {
        "app.py": "import helper\n" + FINE,
        "helper.py": "import lib\n",
        "lib.py": "\nimport no\n",
    }
    assert_said(check(files, brought=("lib.py",)).reason)
    assert_said(check(files).reason)


@pytest.mark.parametrize(
    "source",
    [
        "import requests.toolbelt",
        "import tools.gone",
        "import pyyaml",
        "import shared",
        "import tools.text",
        "import gone",
        "__import__('a b')",
    ],
)
def test_advice_is_never_what_is_done_already(check: Check, source: str) -> None:
    """A part of what is there, a locked package of another name, a module that git lacks."""
    brought = {"requests/__init__.py": "", "yaml.py": ""}
    files = {**brought, "app.py": source, "tools/__init__.py": ""}
    lists = {"brought": tuple(brought), "locked": ("requests", "pyyaml")}
    unknown = ("shared/text.py", "tools/text.py")
    assert_said(check(files, unknown=unknown, **lists).reason)


def test_dependencies_of_this_machine_are_not_seen(check: Check) -> None:
    """What is installed for the tests or the pipeline does not hide what is not in the zip."""
    assert_said(check({"app.py": "import pytest\n" + FINE}).reason)


def test_the_environment_is_lambdas(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module sees the function's variables and no secret of this process."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a real secret")
    monkeypatch.setenv("TOKEN", "a real token")
    source = (
        "import json, os\nraise ValueError(json.dumps([os.environ.get(name) for name in "
        "('AWS_SECRET_ACCESS_KEY', 'TOKEN', 'HOST_1', '_HANDLER')]))\n"
    )
    note = check({"app.py": source}, known=Known({"HOST_1": "here"}, {})).note
    assert json.loads(note.partition("ValueError: ")[2]) == ["local", None, "here", "app.handle"]


def test_what_came_from_the_environment_is_not_shown(check: Check) -> None:
    """A value that a user has exported reaches the module, not the log."""
    local = Environment("local", variables={"Db.Host": "db.local"})
    templates = {"DSN": "#{Db.Host}:#{Db.Password}"}
    known = known_values(templates, local, {"DB_PASSWORD": "tiger99"})
    done = check({"app.py": "import os\nraise ValueError(os.environ['DSN'])\n"}, known=known)
    assert done.note.endswith("ValueError: db.local:********")


def test_a_variable_that_only_a_deploy_knows(check: Check) -> None:
    """What to do is told where a module lacks such a variable."""
    source = "import os\nHOST = os.environ['DB_HOST']\n" + FINE
    note = check({"app.py": source}, known=Known({}, {"DB_HOST": "#{Db.Host}"})).note
    assert_said(note)


def test_layers(check: Check) -> None:
    """A module may lie in a layer of the stack: it is not held against the package."""
    source = "import from_a_layer\n" + FINE
    note = check({"app.py": source}, layers=True).note
    assert_said(note)
    assert check({"app.py": source}).reason


def test_a_warning_names_the_repositorys_line(check: Check) -> None:
    """What a dependency raises was asked for by a line that its author can move."""
    files = {"lib.py": "def connect():\n    raise OSError('no route')\n"}
    files["app.py"] = f"import lib\nCONNECTION = lib.connect()\n{FINE}"
    assert_said(check(files, brought=("lib.py",)).note)


def test_files_for_another_machine(home: Path, runtime: LocalRuntime) -> None:
    """What cannot be loaded here is a word and no warning; what is missing anywhere is refused."""
    other, code = ("x86_64", X86_64) if MACHINE == "arm64" else ("arm64", ARM64)
    name = f"fast/_c.cpython-{MINOR.replace('.', '')}-{other}-linux-gnu.so"
    files = {name: elf(code), "fast/__init__.py": "from . import _c\n"}
    check, brought = checker(home, runtime, other), tuple(files)
    done = check({**files, "app.py": "import fast\n" + FINE}, brought=brought)
    assert done == HandlerCheck(done.found)
    assert_said(done.found, {LINUX: "HERE", f"linux {other}": "ANOTHER MACHINE"})
    for source in ("import nowhere\n", "import fast.nowhere\n", "x = = 1\n"):
        done = check({**files, "app.py": source, "fast/__init__.py": ""}, brought=brought)
        assert done.reason.startswith(REFUSED)


def test_a_mac_has_the_machine_but_not_the_system(home: Path, runtime: LocalRuntime) -> None:
    """A file for Linux cannot be loaded on another system, whatever the processor."""
    code = ARM64 if MACHINE == "arm64" else X86_64
    files = {"fast/_c.cpython-399-linux-gnu.so": elf(code), "app.py": "import fast._c\n"}
    check, system = checker(home, runtime), f"darwin {MACHINE}"
    done = check(files, system=system)
    assert done == HandlerCheck(done.found)
    assert_said(done.found, {MACHINE: "MACHINE"})
    # And where it is not known why, it is there all the same.
    assert_said(check(files).note)


def test_a_helper_for_another_machine_excuses_nothing(home: Path, runtime: LocalRuntime) -> None:
    """A package with a program for macOS says nothing about a module that fails here."""
    files = {"selenium/macos/manager": fat_macho(2), "selenium/__init__.py": b""}
    check = checker(home, runtime, "arm64" if MACHINE == "x86_64" else "x86_64")
    done = check({**files, "app.py": b"import selenium\nx = 1 / 0\n"}, brought=tuple(files))
    assert "ZeroDivisionError" in done.note


def test_a_python_without_a_part_of_its_library(runtime: LocalRuntime) -> None:
    """A Python built without sqlite says nothing about Lambda's."""
    files = FunctionFiles(Path("function.zip"), ("app.py",), ("app.py",), {})
    here = Here(runtime, LINUX, NOTHING, layers=False)
    facts = Facts(error="ModuleNotFoundError", message="No module named '_sqlite3'")
    facts = replace(facts, absent="_sqlite3", is_module=True, standard=True)
    assert outcome(facts, _function(), files, here).note.startswith(WARNED)


def test_a_program_that_cannot_be_started(home: Path, runtime: LocalRuntime) -> None:
    """It is this machine's fault, and so a warning that names the program."""
    check = checker(home, replace(runtime, program=home / "python"))
    assert f"{home / 'python'} cannot be started: No such file" in check({"app.py": FINE}).note


def test_another_python(home: Path, runtime: LocalRuntime) -> None:
    """On another minor than the runtime's a failure proves nothing, a success still counts."""
    check = checker(home, replace(runtime, version="3.99"))
    done = check({"app.py": "import only_there\n" + FINE})
    assert done == HandlerCheck(done.found)
    assert_said(done.found)
    assert check({"app.py": FINE}).found.startswith("handler imported")
    assert "of type int" in check({"app.py": "handle = int('5')\n"}).reason


def test_the_folder_follows_the_zip(check: Check) -> None:
    """What an earlier zip had is not found in the next one, compiled modules included."""
    assert check({"app.py": "import helper\n" + FINE, "helper/__init__.py": ""}).reason == ""
    assert_said(check({"app.py": "import helper\n" + FINE}).reason)
    # The same size within the same second: compiled modules must not outlive their source.
    assert check({"app.py": "import os\n" + FINE}).reason == ""
    assert_said(check({"app.py": "import no\n" + FINE}).reason)
