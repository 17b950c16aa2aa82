"""`rollback` and `status`: which release serves, and an earlier one that serves again."""

from __future__ import annotations

import signal
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pipeline.core.errors import Conflict, Interrupted, PipelineError, UsageError
from pipeline.deploy.aws_session import Connection
from pipeline.deploy.stop import Stop
from pipeline.project.project import Environment
from pipeline.verbs.rollback import RolledBack, rollback
from pipeline.verbs.status import Elsewhere, status, texts
from pipeline.verbs.which_function import Place

from tests.deploy.deploy_support import NAME, OLD, Clock, Recorder
from tests.deploy.fake_lambda import FakeLambda
from tests.deploy.test_deploy_alias import deploy, serving
from tests.words import assert_said, refused

NOW = datetime(2026, 11, 26, 9, 5, tzinfo=UTC)
CALLER = "arn:aws:sts::123456789012:assumed-role/deployers/jane"


def place(fake: FakeLambda) -> Place:
    """Return where the fake is."""
    there = Connection(fake, lambda _: fake, CALLER)
    return Place(Environment("CI"), NAME, there)


def back(fake: FakeLambda, to: str = "", reason: str = "") -> RolledBack:
    """Roll back, and forget the calls of before."""
    fake.calls.clear()
    return rollback(place(fake), to, reason, NOW, Recorder().reporter)


def assert_drift(fake: FakeLambda) -> None:
    """Compare what has drifted with the page."""
    assert_said("\n".join(status(place(fake)).drift))


@pytest.fixture
def fake() -> FakeLambda:
    """Return a function with two releases, the second published twice."""
    fake = FakeLambda.holding(OLD)
    deploy(fake, "2.0.7")
    deploy(fake, "2.0.8")
    fake.touch(Timeout=60)
    deploy(fake, "2.0.8")
    return fake


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_rollback_that_is_stopped_says_what_serves(fake: FakeLambda, moment: str) -> None:
    """The call that moves the traffic is made whole or not at all."""
    stop, call = Stop(), {"before": "get_alias", "after": "update_alias"}[moment]
    getattr(fake, moment)[call] = [lambda _: stop.request(signal.SIGINT)]
    wait = replace(Clock().wait(), stopped=stop)
    with pytest.raises(Interrupted) as caught:
        rollback(place(fake), "", "", NOW, Recorder().reporter, wait)
    assert ("Nothing was changed" in caught.value.then) is (moment == "before")
    assert (fake.alias or {})["FunctionVersion"] == {"before": "3", "after": "1"}[moment]


def test_a_reason_of_several_lines_is_read_back(fake: FakeLambda) -> None:
    """The description of an alias is one line, and tells that a release was taken back."""
    back(fake, "2.0.7", "wrong totals,\n  see the report")
    assert status(place(fake)).deployed.endswith("from 2.0.8: wrong totals, see the report")


@pytest.mark.parametrize("to", ["", "2.0.7"])
def test_one_call_brings_the_earlier_release_back(fake: FakeLambda, to: str) -> None:
    """With its code and its settings; who, when and why stay with the alias."""
    done = back(fake, to, "wrong totals")
    assert (done.before, done.version, done.function_version) == ("2.0.8", "2.0.7", "1")
    assert fake.writes() == ["update_alias"]
    assert (serving(fake)["Description"][:5], serving(fake)["Timeout"]) == ("2.0.7", 30)
    found = status(place(fake))
    assert found.release == "2.0.7"
    words = "by assumed-role/deployers/jane, rolled back from 2.0.8: wrong totals"
    assert found.deployed == f"2026-11-26 09:05 UTC {words}"
    assert_said("\n".join(found.waiting))
    assert not back(fake, "2.0.7").changed
    assert fake.writes() == []


def test_a_release_is_named_by_its_commit_too(fake: FakeLambda) -> None:
    """Of a release that was published twice the newest is taken."""
    fake.versions["1"]["Description"] = "2.0.7 0123456789ab: Greets"
    assert back(fake, "0123456789abcdef0123456789abcdef01234567").function_version == "1"
    assert back(fake, "3f2c1ab").function_version == "3"
    fake.versions["1"]["Description"] = "2.0.7 012345678901: Greets"
    assert back(fake, "01234567").function_version == "1"


def test_it_goes_back_to_what_served_before(fake: FakeLambda) -> None:
    """Not to a release that was taken back itself: the deploy has kept what it replaced.

    An earlier release that is deployed again leads back to none that is newer.
    """
    back(fake, "2.0.7")
    deploy(fake, "2.0.9")
    assert back(fake).version == "2.0.7"
    fake.touch(Timeout=30)
    assert deploy(fake, "2.0.7").version == "1"
    with refused("rollback CI", PipelineError):
        back(fake)


def test_half_moved_traffic_is_taken_back_whole(fake: FakeLambda) -> None:
    """What serves most calls gets all of them, and no earlier release."""
    fake.move("1", v3=0.1)
    done = back(fake)
    assert (done.before, done.version) == ("2.0.8", "2.0.7")
    assert (fake.alias or {})["FunctionVersion"] == "1"
    assert status(place(fake)).drift == ()


def test_who_is_asked_for_where_no_account_is_declared(fake: FakeLambda) -> None:
    """With the right that everybody has; where it is denied all the same, nobody is named."""

    class Sts:
        """Answers like STS."""

        def get_caller_identity(self) -> dict[str, str]:
            """Answer like GetCallerIdentity."""
            return {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/kim"}

    there = Connection(fake, lambda _: Sts())
    rollback(Place(Environment("CI"), NAME, there), "", "", NOW, Recorder().reporter)
    assert (fake.alias or {})["Description"] == (
        "rollback from 2.0.8, 2026-11-26 09:05 UTC by user/kim"
    )
    nobody = Connection(fake, lambda _: object())
    rollback(Place(Environment("CI"), NAME, nobody), "2.0.8", "", NOW, Recorder().reporter)
    assert " by " not in (fake.alias or {})["Description"]


@pytest.mark.parametrize(
    ("to", "where", "error"),
    [
        ("1", "--to", UsageError),
        ("2.0.6", "rollback CI", PipelineError),
        ("abc1234", "rollback CI", PipelineError),
    ],
)
def test_what_names_no_release_is_refused_with_the_list(
    fake: FakeLambda, to: str, where: str, error: type[PipelineError]
) -> None:
    """A bare number could mean a version of Lambda's, and the wrong one would serve at once."""
    with refused(where, error):
        back(fake, to)
    assert fake.writes() == []


def test_before_the_first_release_there_is_none(fake: FakeLambda) -> None:
    """Nor without the alias, or when somebody moves it at that moment."""
    back(fake)
    with refused("rollback CI", PipelineError):
        back(fake)
    fake.before["update_alias"] = [lambda f: f.move("2")]
    with refused("rollback CI", Conflict):
        back(fake, "2.0.8")
    fake.alias = None
    with refused("rollback CI", PipelineError):
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
    assert_drift(fake)
    fake.versions["2"]["Description"] = "by hand"
    fake.move("2")
    assert_drift(fake)
    fake.move("$LATEST")
    assert_drift(fake)
    fake.alias = None
    assert_drift(fake)


def test_what_somebody_did_behind_our_back_is_drift(fake: FakeLambda) -> None:
    """A change of the function itself, a deploy that died, a half-moved alias, other code."""
    fake.touch(Handler="other.handle")
    assert_drift(fake)
    fake.touch(Handler="app.handle", Description="2.0.9 3f2c1ab00000: Greets")
    assert_drift(fake)
    fake.touch(Description="2.0.8 3f2c1ab00000: Greets")
    fake.move("1", v3=0.1)
    half = status(place(fake), Elsewhere(code_sha256={"2.0.7": "another"}))
    assert [*map(str, half.traffic)] == ["90% version 1 (2.0.7)", "10% version 3 (2.0.8)"]
    assert_said("\n".join(half.drift))


def test_releases_wait_in_aws_in_octopus_and_here(fake: FakeLambda) -> None:
    """Of Octopus's those newer than any that was deployed; none of them is drift."""
    fake.move("1")
    there = Elsewhere("2.0.11", ["2.0.10", "2.0.9", "2.0.8", "2.0.7", "2.0.6"])
    found = status(place(fake), there)
    assert_said("\n".join(found.waiting))
    assert found.drift == ()
    many = [f"2.0.{number}" for number in range(14, 7, -1)]
    there = Elsewhere(octopus=many)
    assert_said("\n".join(status(place(fake), there).waiting))
    fake.move("3")
    assert status(place(fake), Elsewhere("2.0.8", ["2.0.8"])).waiting == ()


def test_environments_are_columns_of_one_block(fake: FakeLambda) -> None:
    """At most 80 wide, whatever the sentences; a hash stays whole."""
    fake.touch(MemorySize=1024, Timeout=900)
    first = status(place(fake))
    second = replace(first, environment="Production-Europe", release="2.0.12-prerelease")
    blocks = ["\n".join(block).splitlines() for block in texts([first, second])]
    assert len({block[0].index("3f2c1ab") for block in blocks}) == 1
    assert all(len(line) <= 80 for block in blocks for line in block)
    text = "\n".join(line for block in blocks for line in block)
    assert text.count(f"  code      {first.code_sha256}") == 2
    assert "  deployed  " in text
    assert "account 123456789012, asked by assumed-role/deployers/jane" in " ".join(text.split())
