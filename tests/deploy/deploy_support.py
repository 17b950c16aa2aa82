"""What the deploy tests share: packages and jobs to deploy them, a clock, and what is said."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.core.events import Event, Reporter
from pipeline.core.manifest import FunctionFacts, Manifest, Source, ZipFacts
from pipeline.deploy.aws_session import Credentials
from pipeline.deploy.observe import Wait
from pipeline.octopus.launch import Job, launch
from pipeline.package.aws_client import client_files
from pipeline.package.library import deploy_half

SCRIPTS = Path(__file__).resolve().parents[2] / "template" / "scripts"
NAME = "CI-Greeter"
ARN = f"arn:aws:lambda:eu-west-1:123456789012:function:{NAME}"
COMMIT = "3f2c1ab" + "0" * 33
PYTHON = Path(getattr(sys, "_base_executable", sys.executable))
CREDENTIALS = Credentials("testing-key", "testing-secret", "", "eu-west-1")


def function_zip(
    text: str = "def handle(event, context):\n    return event\n", name: str = "app.py"
) -> bytes:
    """Return a small function zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
        info.external_attr = 0o644 << 16
        archive.writestr(info, text)
    return buffer.getvalue()


OLD = function_zip("old = 1\n")


def zip_padded(size: int) -> bytes:
    """Return a function zip with that many bytes more, which do not shrink."""
    buffer = io.BytesIO(function_zip())
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("padding.bin", bytes(size))
    return buffer.getvalue()


def code_sha256(data: bytes) -> str:
    """Return the hash as Lambda reports it."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def manifest(code: bytes, **changes: Any) -> Manifest:
    """Return the manifest of a package with that function zip; `changes` are the function's."""
    facts: dict[str, Any] = {
        "name": "Greeter",
        "runtime": "python3.13",
        "architecture": "arm64",
        "handler": "app.handle",
        "description": "Greets",
        "environment": {"GREETING": "#{Greeting}", "LEVEL": "info"},
        "tags": {"team": "web"},
    }
    environments = changes.pop("environments", {"CI": {}})
    return Manifest(
        package_id="Acme.Greeter",
        version="2.0.7",
        source=Source(COMMIT, "main", dirty=False),
        function=FunctionFacts(**{**facts, **changes}),
        function_zip=_facts(code),
        dependencies=(),
        tools=(),
        environments=environments,
    )


def _facts(code: bytes) -> ZipFacts:
    try:
        with zipfile.ZipFile(io.BytesIO(code)) as archive:
            sizes = [entry.file_size for entry in archive.infolist()]
    except (zipfile.BadZipFile, NotImplementedError):
        sizes = [100]
    return ZipFacts.of(code, sum(sizes), len(sizes))


def write_package(folder: Path, facts: Manifest, code: bytes) -> Path:
    """Write a package's data files, without deploy script and library."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "build.json").write_bytes(facts.to_json())
    (folder / "function.zip").write_bytes(code)
    return folder


def write_whole_package(folder: Path, facts: Manifest, code: bytes) -> Path:
    """Write a package as it lies on a worker: with script, deploy half and client."""
    files = deploy_half(SCRIPTS)
    files += [(f"client/{name}", data) for name, data in client_files()]
    for name, data in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return write_package(folder, facts, code)


def octopus_variables(**changes: str) -> dict[str, str]:
    """Return the variables of a deployment; underscores in names stand for dots."""
    given = {name.replace("_", "."): value for name, value in changes.items()}
    return {
        "Octopus.Environment.Name": "CI",
        "Octopus.Release.Number": "2.0.7",
        "AWS.Deployment.Key": "testing-key",
        "AWS.Deployment.Secret": "testing-secret",
        "AWS.Deployment.Region": "eu-west-1",
        "Greeting": "hello",
        **given,
    }


@dataclass
class Clock:
    """A clock that only sleeping moves."""

    seconds: float = 0.0

    def wait(self, ceiling: float = 30.0) -> Wait:
        """Return how to wait by this clock."""
        return Wait(self._sleep, lambda: self.seconds, ceiling=ceiling, jitter=lambda: 0.5)

    def _sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class Recorder:
    """A sink that keeps events."""

    events: list[Event] = field(default_factory=list)

    @property
    def reporter(self) -> Reporter:
        """Return a reporter that ends here."""
        return Reporter(self.events.append)

    def of(self, kind: type) -> list[Any]:
        """Return the events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]


def job(package: Path, endpoint: str = "http://127.0.0.1:9", **changes: Any) -> Job:
    """Return a deploy of the package to moto; `changes` are the job's."""
    given: dict[str, Any] = {
        "package": package,
        "python": PYTHON,
        "variables": octopus_variables(),
        "credentials": Credentials(),
        "environ": {"PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": endpoint},
    }
    return Job(**{**given, **changes})


def run(one: Job) -> Recorder:
    """Run a job, and return what it said."""
    recorder = Recorder()
    launch(one, recorder.reporter)
    return recorder
