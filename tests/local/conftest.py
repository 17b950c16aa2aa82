"""Real processes, real clients: one embedded AWS in the background serves the whole folder."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bootstrap
import pytest
from pipeline.edge.locks import alone
from pipeline.local.background import Background, start
from pipeline.local.function import FunctionProcess
from pipeline.local.function_code import FunctionCode
from pipeline.local.pool import LocalRuntime
from pipeline.local.state import LocalAws

from tests.local.local_support import APP, CONFIG, MINOR, ROLE, TRUST, client, written, zipped
from tests.repositories import ROOT

Create = Callable[..., str]


@pytest.fixture(scope="session")
def python() -> Path:
    """Return the interpreter that runs the functions: the tests' own, outside its venv."""
    return Path(getattr(sys, "_base_executable", sys.executable))


@pytest.fixture(scope="session")
def ric(pytestconfig: pytest.Config, python: Path) -> Path:
    """Return a folder with AWS's runtime client for that Python, installed once."""
    assert pytestconfig.cache is not None
    folder = pytestconfig.cache.mkdir(f"awslambdaric-{MINOR}")
    with alone(folder.with_suffix(".lock"), lambda: None):
        if not (folder / "awslambdaric").is_dir():
            uv = bootstrap.find_uv(ROOT, "requirements/dev.txt")
            words = [uv, "pip", "install", "--quiet", "--target", folder, "--python", python]
            subprocess.run([*map(str, words), "awslambdaric==4.2.2"], check=True)
    return folder


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
    started = start(Background(state, runtimes, {}))
    yield started
    os.kill(started.pid, signal.SIGTERM)
    os.waitpid(started.pid, 0)
    assert not state.exists()


@pytest.fixture(scope="session")
def lambdas(aws: LocalAws) -> Any:
    """Return a Lambda client, with the role that functions need."""
    client(aws, "iam").create_role(RoleName="function", AssumeRolePolicyDocument=TRUST)
    return client(aws, "lambda")


@pytest.fixture(scope="module", params=["awslambdaric", "own client"])
def code(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    python: Path,
    ric: Path,
) -> FunctionCode:
    """Return the same function once for AWS's runtime client and once for our own."""
    folder = written(tmp_path_factory.mktemp("task"), {"app.py": APP, "pkg/inner.py": APP})
    chosen = ric if request.param == "awslambdaric" else None
    return FunctionCode(folder, "app.handle", python, chosen)


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
            **settings,
        }
        lambdas.create_function(**request)
        return name

    return _create
