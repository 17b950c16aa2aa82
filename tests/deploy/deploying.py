"""A whole deploy in this process: package and variables in, a function in memory, what is said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.core.events import Line, Output
from pipeline.deploy.aws_session import Connection, Credentials
from pipeline.deploy.main import PLAN, deploy
from pipeline.deploy.observe import Wait
from pipeline.deploy.plan import Applied
from pipeline.deploy.worker import WorkerContext

from tests.deploy.deploy_support import (
    Clock,
    Recorder,
    function_zip,
    manifest,
    octopus_variables,
    write_package,
)
from tests.deploy.fake_lambda import FakeLambda

CODE = function_zip()


class Deploy:
    """One deploy against a function in memory: its inputs, and what came of it."""

    def __init__(self, folder: Path, **facts: Any) -> None:
        self.fake = FakeLambda.holding(function_zip("old = 1\n"))
        self.recorder = Recorder()
        self.folder = write_package(folder / "package", manifest(CODE, **facts), CODE)
        self.connected: list[tuple[Credentials, Mapping[str, str]]] = []
        self.wait: Wait = Clock().wait()

    def run(self, **variables: str) -> Applied:
        """Deploy with those Octopus variables."""
        given = {"octopusvariables": octopus_variables(**variables)}
        context = WorkerContext.from_globals(given, {})
        return deploy(
            self.folder,
            context,
            self.recorder.reporter,
            connect=self._connect,
            wait=self.wait,
        )

    def dry_run(self, **variables: str) -> dict[str, Any]:
        """Return the plan that a dry run gives as data."""
        self.run(Pipeline_DryRun="True", **variables)
        (plan,) = [event.value for event in self.recorder.of(Output)[-2:] if event.name == PLAN]
        assert "#{" not in plan, "Octopus would fill it, and show what it holds"
        found: dict[str, Any] = json.loads(plan)
        return found

    def lines(self) -> str:
        """Return the lines that were shown."""
        return "\n".join(event.text for event in self.recorder.of(Line))

    def _connect(self, credentials: Credentials, place: Mapping[str, str]) -> Connection:
        self.connected.append((credentials, place))
        moment = datetime(2026, 11, 26, 9, 5, tzinfo=UTC)
        return Connection(self.fake, lambda _: self.fake, now=lambda: moment)
