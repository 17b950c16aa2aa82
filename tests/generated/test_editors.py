"""One path for editors: a Python with the function's packages and its test tools."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from pipeline.edge.locks import shared

from tests.generated.conftest import Fresh
from tests.generated.repository import Repository, environment, wait_for_text

_WHAT_IS_THERE = "import pytest, sys; print('%d.%d' % sys.version_info[:2], pytest.__name__)"


def _asked(repository: Repository) -> str:
    """Return what the Python says that the editors' settings name."""
    lines = (repository.root / ".vscode" / "settings.json").read_text("utf-8").splitlines()
    settings = json.loads("\n".join(line for line in lines if not line.lstrip().startswith("//")))
    path = settings["python.defaultInterpreterPath"]
    folder = path.replace("${workspaceFolder}", str(repository.root))
    command = [f"{folder}/bin/python", "-c", _WHAT_IS_THERE]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, check=True, cwd="/"
    )
    return done.stdout.strip()


def _never() -> None:
    raise AssertionError


def _never_mind() -> None:
    pass


@pytest.mark.slow
def test_the_path_stays_whatever_is_locked(fresh: Fresh, tmp_path: Path) -> None:
    """It outlives the cache, and follows the locks at the next test, once nobody uses it."""
    repository = fresh()
    repository.must("cache.clear")
    before = _asked(repository)
    assert before.endswith("pytest")
    made = repository.root / ".pipeline" / "python"
    first = made.stat().st_ino
    lock = repository.root / "requirements" / "test.txt"
    repository.write("requirements/test.txt", f"# Reviewed.\n{lock.read_text(encoding='utf-8')}")
    log = tmp_path / "log"
    with shared(made.with_name("python.lock"), _never, _never_mind):
        running = repository.started("test", log=log)
        wait_for_text(log, "another process makes or uses .pipeline/python; waiting for it")
        assert made.stat().st_ino == first
    assert running.communicate(timeout=120)
    assert running.returncode == 0, log.read_text(encoding="utf-8")
    assert made.stat().st_ino != first
    assert _asked(repository) == before
    tool = subprocess.run(
        [made / "bin" / "pytest", "--version"], env=environment(), capture_output=True, check=True
    )
    assert tool.stdout.startswith(b"pytest")
