"""`rollback` and `status`: which release serves, and an earlier one that serves again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pipeline.core.errors import Conflict, PipelineError, UsageError
from pipeline.deploy.aws_session import Connection
from pipeline.project.project import Environment
from pipeline.verbs.rollback import RolledBack, rollback
from pipeline.verbs.status import status
from pipeline.verbs.which_function import Place

from tests.deploy.deploy_support import NAME, OLD, Recorder
from tests.deploy.fake_lambda import FakeLambda
from tests.deploy.test_deploy_alias import deploy, serving

NOW = datetime(2026, 11, 26, 9, 5, tzinfo=UTC)
CALLER = "arn:aws:sts::123456789012:assumed-role/deployers/jane"


def place(fake: FakeLambda) -> Place:
    """Return where the fake is."""
    there = Connection(fake, lambda: fake, "eu-west-1", CALLER)
    return Place(Environment("CI"), NAME, there)


def back(fake: FakeLambda, to: str = "", reason: str = "") -> RolledBack:
    """Roll back, and forget the calls of before."""
    fake.calls.clear()
    return rollback(place(fake), to, reason, NOW, Recorder().reporter)


@pytest.fixture
def fake() -> FakeLambda:
    """Return a function with two releases, the second published twice."""
    fake = FakeLambda.holding(OLD)
    deploy(fake, "2.0.7")
    deploy(fake, "2.0.8")
    fake.touch(Timeout=60)
    deploy(fake, "2.0.8")
    return fake


@pytest.mark.parametrize("to", ["", "2.0.7"])
def test_one_call_brings_the_earlier_release_back(fake: FakeLambda, to: str) -> None:
    """With its code and its settings; who, when and why stay with the alias."""
    done = back(fake, to, "wrong totals")
    assert (done.before, done.version, done.function_version) == ("2.0.8", "2.0.7", "1")
    assert fake.writes() == ["update_alias"]
    assert (serving(fake)["Description"][:5], serving(fake)["Timeout"]) == ("2.0.7", 30)
    found = status(place(fake))
    assert found.release == "2.0.7"
    for word in ("rollback from 2.0.8", "2026-11-26 09:05 UTC", "jane", "wrong totals"):
        assert word in found.note
    assert not back(fake, "2.0.7").changed
    assert fake.writes() == []


def test_a_release_is_named_by_its_commit_too(fake: FakeLambda) -> None:
    """Of a release that was published twice the newest is taken."""
    fake.versions["1"]["Description"] = "2.0.7 0123456789ab: Greets"
    assert back(fake, "0123456789abcdef0123456789abcdef01234567").function_version == "1"
    assert back(fake, "3f2c1ab").function_version == "3"
    fake.versions["1"]["Description"] = "2.0.7 012345678901: Greets"
    assert back(fake, "01234567").function_version == "1"


@pytest.mark.parametrize(
    ("to", "error"), [("1", UsageError), ("2.0.6", PipelineError), ("abc1234", PipelineError)]
)
def test_what_names_no_release_is_refused_with_the_list(
    fake: FakeLambda, to: str, error: type[PipelineError]
) -> None:
    """A bare number could mean a version of Lambda's, and the wrong one would serve at once."""
    with pytest.raises(error) as caught:
        back(fake, to)
    assert "2.0.8 (3f2c1ab00000, version 3), " in caught.value.then
    assert fake.writes() == []


def test_before_the_first_release_there_is_none(fake: FakeLambda) -> None:
    """Nor without the alias, or when somebody moves it at that moment."""
    back(fake)
    with pytest.raises(PipelineError, match="no release before"):
        back(fake)
    fake.before["update_alias"] = [lambda f: f.move("2")]
    with pytest.raises(Conflict, match="after this rollback was planned") as caught:
        back(fake, "2.0.8")
    assert caught.value.where == "rollback CI"
    fake.alias = None
    with pytest.raises(PipelineError, match="has no alias live"):
        back(fake)


def test_an_environment_that_is_as_it_was_deployed_has_no_drift(fake: FakeLambda) -> None:
    """After a rollback the function itself is newer, which is none either."""
    found = status(place(fake))
    assert (found.release, found.commit, found.function_version) == ("2.0.8", "3f2c1ab00000", "3")
    assert found.drift == ()
    deploy(fake, "2.0.7")
    back(fake, "2.0.8")
    assert status(place(fake)).drift == ()


def test_each_drift_is_a_line(fake: FakeLambda) -> None:
    """A change of the stack, a version of somebody's, and events that go around the alias."""
    fake.touch(MemorySize=1024)
    fake.sources = [{"FunctionArn": fake.configuration["FunctionArn"], "EventSourceArn": "queue"}]
    stack, around = status(place(fake)).drift
    assert "MemorySize 256 -> 1024" in stack
    assert "event source queue" in around
    fake.versions["2"]["Description"] = "by hand"
    fake.move("2")
    assert "version 2, which is no release of ours" in status(place(fake)).drift[0]
    fake.move("$LATEST")
    assert "nothing was published yet" in status(place(fake)).drift[0]
    fake.alias = None
    assert "no alias live" in status(place(fake)).drift[0]


def test_a_rollback_is_no_way_out_of_a_canary(fake: FakeLambda) -> None:
    """It would go back by one release too many: how to abort is said, a named release is taken."""
    fake.move("1", v2=0.1)
    with pytest.raises(PipelineError, match="canary under way") as caught:
        back(fake)
    assert "deploy CI --promote` or --abort" in caught.value.then
    assert (fake.writes(), back(fake, "2.0.7").function_version) == ([], "1")
    assert serving(fake)["Version"] == "1"
