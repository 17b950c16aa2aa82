"""The stand-in server, the client that proves it, a clock that never waits, and the verbs."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline.octopus.client import Access
from pipeline.octopus.waiting import Patience
from pipeline.verbs.release import OctopusOptions, Released
from pipeline.verbs.release import release as release_verb

from tests.octopus.octopus_support import Clock, Events, Release, Verbs, built, project_in
from tests.project.values_support import machine
from tests.repositories import ROOT
from tests.standins.octopus_server import KEY, OctopusServer
from tests.standins.octopus_state import State
from tests.tools import tool

TYPESCRIPT = ROOT / "tests" / "standins" / "typescript"
# Taken before the tests get a home of their own: npm's settings are the developer's.
_ENVIRON = dict(os.environ)


@pytest.fixture
def clock() -> Clock:
    """Return a clock that moves when somebody sleeps, or looks at it, and only then."""
    return Clock()


@pytest.fixture
def events() -> Events:
    """Return a sink that keeps what it gets."""
    return Events()


@pytest.fixture
def server(clock: Clock) -> Iterator[OctopusServer]:
    """Return a running stand-in; requests that it does not know fail the test."""
    with OctopusServer(State(clock)) as running:
        yield running
    assert running.unknown == []


@pytest.fixture
def release(server: OctopusServer, clock: Clock, events: Events, tmp_path: Path) -> Release:
    """Return the verb on the package 2.0.7 in the environments named, by the test's clock."""

    def run(*environments: str, version: str = "2.0.7", **options: object) -> Released:
        patience = Patience(clock=clock, sleep=clock.sleep)
        chosen = OctopusOptions(
            Access(server.url, KEY),
            environments=environments,
            patience=patience,
            **options,  # type: ignore[arg-type]
        )
        package = built(tmp_path, version)
        project = project_in(tmp_path)
        return release_verb(project, str(package), chosen, machine(tmp_path), events.reporter)

    return run


@pytest.fixture
def verbs(server: OctopusServer, tmp_path: Path, events: Events) -> Verbs:
    """Return the verbs."""
    return Verbs(server, tmp_path, events)


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """Return the folder with the pinned official client, fetched once a machine."""
    lock = (TYPESCRIPT / "package-lock.json").read_bytes()
    folder = Path.home() / ".cache" / "copier-lambda" / "octopus-client"
    made = folder / hashlib.sha256(lock).hexdigest()[:16]
    npm = tool("npm")
    if not made.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder))
        for name in ("package.json", "package-lock.json"):
            shutil.copy2(TYPESCRIPT / name, scratch)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(
            command, cwd=scratch, env=_ENVIRON, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        try:
            scratch.rename(made)
        except OSError:  # another run of the tests was faster
            shutil.rmtree(scratch)
    return made
