"""Canaries end to end on the embedded AWS: real calls, its split, its metrics, its alarms."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pipeline.core.errors import PipelineError
from pipeline.deploy.aws_session import Connection
from pipeline.deploy.main import deploy
from pipeline.deploy.observe import Wait
from pipeline.deploy.verdict import Held
from pipeline.deploy.worker import WorkerContext
from pipeline.local.state import LocalAws

from tests.deploy.deploy_support import (
    Recorder,
    function_zip,
    manifest,
    octopus_variables,
    write_package,
)
from tests.local.local_support import MINOR, client

Create = Callable[..., str]
CODE = """\
def handle(event, context):
    if event == {failing!r}:
        raise RuntimeError("no such table")
    return {{"version": {version!r}}}
"""
SMOKE = {"event": {"smoke": True}, "answer": {"version": "2.0.8"}}


@dataclass
class Stage:
    """A function with the alias `live` whose callers call while a deploy waits."""

    aws: LocalAws
    lambdas: Any
    name: str
    folder: Path
    place: dict[str, str] = field(default_factory=dict)
    calls: int = 0
    ahead: float = 0.0

    def deploy(self, version: str, *, failing: object = "never") -> None:
        """Deploy a release that fails on the events `failing`."""
        code = function_zip(CODE.format(version=version, failing=failing))
        facts = manifest(
            code, runtime=f"python{MINOR}", architecture="x86_64", environments={"CI": self.place}
        )
        package = write_package(self.folder / version, replace(facts, version=version), code)
        (package / "smoke").mkdir()
        answer = {"version": version}
        (package / "smoke" / "smoke.json").write_text(json.dumps({**SMOKE, "answer": answer}))
        given = {**octopus_variables(), "AWS.Lambda.Function.Name": self.name}
        deploy(
            package,
            WorkerContext.from_globals({"octopusvariables": given}, {}),
            Recorder().reporter,
            connect=lambda _credentials, _place: self.connection(),
            wait=Wait(self.wait, lambda: self.ahead),
        )

    def wait(self, seconds: float) -> None:
        """Let time pass, in which callers call."""
        self.ahead += seconds
        for _ in range(self.calls):
            self.lambdas.invoke(FunctionName=self.name, Qualifier="live", Payload=b'"call"')

    def connection(self) -> Connection:
        """Return a connection whose clock waiting moves."""
        return Connection(
            self.lambdas,
            partial(client, self.aws),
            now=lambda: datetime.now(UTC) + timedelta(seconds=self.ahead),
            metric_delay=0.0,
        )

    def live(self) -> tuple[str, dict[str, float]]:
        """Return where the alias points: the version, and the weights."""
        found = self.lambdas.get_alias(FunctionName=self.name, Name="live")
        weights = found.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
        return found["FunctionVersion"], weights


@pytest.fixture
def stage(aws: LocalAws, lambdas: Any, create: Create, tmp_path: Path) -> Stage:
    """Return a function of a stack with release 2.0.7, and a canary of most calls."""
    name = create()
    lambdas.create_alias(FunctionName=name, Name="live", FunctionVersion="$LATEST")
    stage = Stage(aws, lambdas, name, tmp_path, {"strategy": "canary:90:3s"})
    stage.deploy("2.0.7")
    assert stage.live() == ("1", {})
    return stage


def test_a_good_release_gets_most_calls_and_then_all(stage: Stage) -> None:
    """The first deploy moved at once; this one is judged by what its calls did."""
    stage.calls = 5
    stage.deploy("2.0.8")
    assert stage.live() == ("2", {})


def test_a_bad_release_comes_back_by_itself(stage: Stage) -> None:
    """Its smoke test passes and its calls fail: they go to the release before again."""
    stage.calls = 5
    with pytest.raises(PipelineError, match=r"100\.0% of its calls failed"):
        stage.deploy("2.0.8", failing="call")
    assert stage.live() == ("1", {})


def test_a_quiet_release_is_held_and_judged_again_when_there_were_calls(stage: Stage) -> None:
    """Without callers nothing is known; deploying it again counts those that came since."""
    with pytest.raises(Held, match="0 calls were seen"):
        stage.deploy("2.0.8")
    assert stage.live() == ("1", {"2": 0.9})
    stage.calls = 40
    stage.wait(1)
    stage.folder = stage.folder / "again"
    stage.deploy("2.0.8")
    assert stage.live() == ("2", {})


def test_a_failing_smoke_test_moves_nothing(stage: Stage) -> None:
    """The new version was asked under its number, and nobody else met it."""
    with pytest.raises(PipelineError, match="RuntimeError: no such table"):
        stage.deploy("2.0.8", failing=SMOKE["event"])
    assert stage.live() == ("1", {})


def test_an_alarm_that_turns_red_takes_the_canary_back(stage: Stage) -> None:
    """Below the threshold of errors, but the alarm on them goes off; nothing before counts."""
    stage.place |= {"alarms": f"{stage.name} errors", "thresholds.errors": "99%"}
    client(stage.aws, "cloudwatch").put_metric_alarm(
        AlarmName=f"{stage.name} errors",
        Namespace="AWS/Lambda",
        MetricName="Errors",
        Dimensions=[{"Name": "FunctionName", "Value": stage.name}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    stage.calls = 1
    with pytest.raises(PipelineError, match="errors turned red"):
        stage.deploy("2.0.8", failing="call")
    assert stage.live() == ("1", {})
