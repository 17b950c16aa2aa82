"""Looking at the function before a deploy: waited for, or refused with the reason."""

from __future__ import annotations

from typing import Any

from pipeline.core.errors import PipelineError
from pipeline.core.events import Stage
from pipeline.deploy.observe import Observed, Wait, observe, settled

from tests.deploy.deploy_support import NAME, OLD, Clock
from tests.deploy.fake_lambda import FakeLambda
from tests.words import assert_said, refused


def read_settled(fake: FakeLambda) -> tuple[Observed, list[Any]]:
    """Wait for the fake to settle, and return what was seen with the progress shown."""
    shown: list[Any] = []
    found = settled(fake, NAME, Clock().wait(ceiling=5.0), Stage("plan", shown.append))
    return found, shown


def test_a_pending_function_is_waited_for() -> None:
    """A function that is just being made is waited for, showing its state."""
    fake = FakeLambda.holding(OLD, State="Pending", StateReasonCode="Creating")
    fake.before["get_function"] = [lambda _: None, lambda f: f.touch(State="Active")]
    found, shown = read_settled(fake)
    assert found.state == "Active"
    assert "State Pending" in shown[0].text
    assert "Creating" in shown[0].text


def test_a_state_nobody_knows_is_waited_for_and_reported() -> None:
    """A state that is newer than this library ends in an error only after the ceiling."""
    fake = FakeLambda.holding(OLD, State="Thawing")
    with refused("CI-Greeter", PipelineError):
        read_settled(fake)


def test_a_failed_function_gives_the_reason() -> None:
    """A function that could not be made is an error with AWS's reason."""
    reasons = {"StateReasonCode": "InvalidSubnet", "StateReason": "no such subnet"}
    fake = FakeLambda.holding(OLD, State="Failed", **reasons)
    with refused("CI-Greeter", PipelineError):
        read_settled(fake)


def test_a_version_with_snap_start_is_ready_when_that_is() -> None:
    """Active comes before its snapshot; the function itself has none, and is not waited for."""
    wanted = {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}
    fake = FakeLambda.holding(OLD, SnapStart=wanted)
    assert read_settled(fake)[1] == []
    made = {**fake.configuration, "Version": "1"}
    fake.versions["1"] = made
    on = {**made, "SnapStart": {**wanted, "OptimizationStatus": "On"}}
    fake.before["get_function"] = [lambda _: None, lambda f: f.versions.update({"1": on})]
    shown: list[Any] = []
    stage = Stage("publish", shown.append)
    found = settled(fake, NAME, Clock().wait(ceiling=5.0), stage, "1")
    assert found.snap_start == "On"
    (said,) = [event.text for event in shown]
    assert_said(said)
    fake.versions["1"] = {**made, "State": "Inactive"}
    settled(fake, NAME, Clock().wait(ceiling=5.0), stage, "1")
    fake.versions["1"] = made
    with refused("version 1 of CI-Greeter", PipelineError):
        settled(fake, NAME, Clock().wait(ceiling=5.0), stage, "1")


def test_those_who_wait_do_not_ask_at_the_same_moments() -> None:
    """The interval varies by half of it to either side."""
    slept: list[float] = []
    parts = iter((0.0, 0.5, 1.0))
    wait = Wait(slept.append, lambda: 0.0, jitter=lambda: next(parts))
    for _ in range(3):
        wait.pause()
    assert slept == [0.5, 1.0, 1.5]


def test_an_idle_function_can_be_deployed_to() -> None:
    """Inactive means idle, and an earlier failed update is no obstacle."""
    fake = FakeLambda.holding(OLD, State="Inactive", LastUpdateStatus="Failed")
    assert read_settled(fake)[0].state == "Inactive"


def test_a_container_image_is_refused() -> None:
    """A function that runs an image cannot take a zip."""
    with refused("CI-Greeter", PipelineError):
        observe(FakeLambda.holding(OLD, PackageType="Image"), NAME)


def test_an_environment_that_cannot_be_read_is_not_overwritten() -> None:
    """Without kms:Decrypt the keys of others would be lost, so the deploy stops."""
    hidden = {"Error": {"ErrorCode": "AccessDeniedException", "Message": "kms"}}
    with refused("CI-Greeter", PipelineError):
        observe(FakeLambda.holding(OLD, Environment=hidden), NAME)
