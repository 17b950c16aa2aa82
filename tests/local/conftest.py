"""Real processes, real clients: one embedded AWS in the background serves the whole folder."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import bootstrap
import pytest
from pipeline.edge.machine import Machine, utc_now
from pipeline.function.python.interpreter import runtime_client
from pipeline.local.background import Background, start
from pipeline.local.state import LocalAws
from pipeline.runtime.function_code import FunctionCode, LocalRuntime
from pipeline.runtime.function_process import FunctionProcess

from tests.local.local_support import APP, CONFIG, MINOR, ROLE, TRUST, client, written, zipped
from tests.repositories import ROOT

Create = Callable[..., str]


@pytest.fixture(scope="session")
def python() -> Path:
    """Return the interpreter that runs the functions: the tests' own, outside its venv."""
    return Path(getattr(sys, "_base_executable", sys.executable))


@pytest.fixture(scope="session")
def machine(pytestconfig: pytest.Config) -> Machine:
    """Return this machine, with a cache that the next run of the tests finds again."""
    assert pytestconfig.cache is not None
    cache = pytestconfig.cache.mkdir("runtime clients")
    return Machine(
        root=ROOT / "template",
        cache_folder=lambda: cache,
        environ=os.environ,
        now=utc_now,
        seconds=time.monotonic,
        uv_program=lambda: bootstrap.find_uv(ROOT, "requirements/dev.txt"),
        tooling=lambda _: None,
    )


@pytest.fixture(scope="session")
def ric(python: Path, machine: Machine) -> Path:
    """Return a folder with AWS's runtime client for that Python, compiled part included."""
    return runtime_client(python, machine)


@pytest.fixture(scope="session")
def ric_without_wheel(
    python: Path, machine: Machine, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return what stands for it on a machine that has no wheel of it, like macOS."""
    uv = tmp_path_factory.mktemp("uv") / "uv"
    refuses = 'case "$*" in *--python-platform*) ;; *) echo "no usable wheels" >&2; exit 1 ;; esac'
    uv.write_text(f'#!/bin/sh\n{refuses}\nexec "{machine.uv_program()}" "$@"\n', encoding="utf-8")
    uv.chmod(0o755)
    cache = machine.cache / "without wheel"
    return runtime_client(
        python, replace(machine, cache_folder=lambda: cache, uv_program=lambda: uv)
    )


@pytest.fixture(scope="session")
def runtimes(python: Path, ric: Path) -> dict[str, LocalRuntime]:
    """Return the one runtime of these tests, under the name of its Python."""
    return {f"python{MINOR}": LocalRuntime(python, ric, MINOR)}


@pytest.fixture(scope="session")
def aws(
    tmp_path_factory: pytest.TempPathFactory, runtimes: dict[str, LocalRuntime]
) -> Iterator[LocalAws]:
    """Start one embedded AWS for all tests.

    It is ended by SIGTERM, as a machine does that shuts down, and has to tidy up then too.
    """
    state = tmp_path_factory.mktemp("local aws") / "state.json"
    started = start(Background(state, runtimes, {}, settle=0))
    yield started
    os.kill(started.pid, signal.SIGTERM)
    os.waitpid(started.pid, 0)
    assert not state.exists()


@pytest.fixture(scope="session")
def lambdas(aws: LocalAws) -> Any:
    """Return a Lambda client, with the role that functions need."""
    client(aws, "iam").create_role(RoleName="function", AssumeRolePolicyDocument=TRUST)
    return client(aws, "lambda")


@pytest.fixture(scope="module", params=["ric", "ric_without_wheel"])
def code(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, python: Path
) -> FunctionCode:
    """Return the same function for the runtime client with each of its compiled parts."""
    folder = written(tmp_path_factory.mktemp("task"), {"app.py": APP, "pkg/inner.py": APP})
    ric = request.getfixturevalue(request.param)
    return FunctionCode(folder, "app.handle", LocalRuntime(python, ric, MINOR))


@pytest.fixture(scope="module")
def process(code: FunctionCode) -> Iterator[FunctionProcess]:
    """Return a warm process that the tests of this module share."""
    made = FunctionProcess(code, CONFIG)
    yield made
    made.close()


_numbers = itertools.count(1)


@pytest.fixture
def create(lambdas: Any) -> Create:
    """Return a function that creates a Lambda function and gives its new name."""

    def _create(**settings: Any) -> str:
        name = f"function-{next(_numbers)}"
        code = settings.pop("code", None) or zipped({"app.py": APP})
        request = {
            "FunctionName": name,
            "Runtime": f"python{MINOR}",
            "Handler": "app.handle",
            "Role": ROLE,
            "Code": {"ZipFile": code},
            "Timeout": 60,
            **settings,
        }
        lambdas.create_function(**request)
        return name

    return _create
