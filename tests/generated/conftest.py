"""Generated repositories, ready to use: rendered and set up once, then copied."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import MadeOnce
from tests.generated.repository import RUNTIME, Repository, environment
from tests.generated.starter import Starter
from tests.repositories import Render

Fresh = Callable[[], Repository]


@pytest.fixture(scope="session")
def unused(render: Render, made_once: MadeOnce) -> Iterator[Repository]:
    """Return a set-up repository with an empty function. Only copy it."""

    def make(folder: Path) -> None:
        shutil.copytree(render(function_kind="empty", runtime=RUNTIME), folder)
        made = Repository(folder)
        made.start_here()
        # Leaves .venv, the tests' environment and the AWS client behind, for every copy.
        made.must("build", "--build-number", "1")
        shutil.rmtree(folder / "build-output")
        _compile_pytest(folder)

    folder = made_once("an unused repository", make)
    starter = Starter.of(folder, environment())
    yield Repository(folder, starter=starter)
    starter.stop()


def _compile_pytest(folder: Path) -> None:
    """Let the tests' environment have bytecode: a build writes none, and would compile it anew."""
    with tempfile.TemporaryDirectory() as nothing:
        python = folder / ".pipeline" / "python" / "bin" / "python"
        collect = [str(python), "-m", "pytest", "-p", "no:cacheprovider", "--junitxml=none.xml"]
        done = subprocess.run(
            collect, cwd=nothing, env=environment(), capture_output=True, check=False
        )
        assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stderr


@pytest.fixture(scope="session")
def _shared(unused: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return unused.copy(tmp_path_factory.mktemp("shared") / "the repository")


@pytest.fixture
def repository(_shared: Repository) -> Repository:
    """Return a repository as it was generated: clean, never built, its `.venv` set up."""
    _shared.reset()
    return _shared


@pytest.fixture
def fresh(unused: Repository, tmp_path: Path) -> Fresh:
    """Return a function that makes a repository nobody else uses."""
    return lambda: unused.copy(tmp_path / "a fresh repository")
