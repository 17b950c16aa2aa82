"""Smoke tests, canaries and verdicts: a release meets a part of the calls before it meets all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pipeline.core.errors import Conflict, Interrupted, PipelineError, UsageError
from pipeline.core.events import Line, Output, Progressed, Warned
from pipeline.deploy.aws_session import Connection
from pipeline.deploy.main import deploy
from pipeline.deploy.plan import Applied
from pipeline.deploy.policy import policy
from pipeline.deploy.verdict import Figures, Held
from pipeline.deploy.worker import WorkerContext
from pipeline.project.project import Environment
from pipeline.verbs.rollback import end_canary
from pipeline.verbs.status import status
from pipeline.verbs.which_function import Place

from tests.deploy.deploy_support import (
    NAME,
    OLD,
    Clock,
    Recorder,
    function_zip,
    manifest,
    octopus_variables,
    write_package,
)
from tests.deploy.fake_lambda import FakeLambda, Killed, Script, refusal
from tests.deploy.fake_metrics import FakeMetrics
from tests.words import assert_said, assert_wording, refused

START = datetime(2026, 11, 26, 8, 0, 30, tzinfo=UTC)
GOOD = Figures(calls=60, p99=80.0)
BAD = Figures(calls=60, errors=9, p99=80.0)
BUSY = Figures(calls=540, errors=2, p99=70.0)


class World:
    """An environment in memory with release 2.0.7 serving, and deploys of later ones to it."""

    def __init__(self, folder: Path, **place: str) -> None:
        self.folder = folder
        self.place = {"strategy": "canary:10:15m", **place}
        self.fake = FakeLambda.holding(OLD)
        self.metrics = FakeMetrics()
        self.clock = Clock()
        self.stopped = lambda: False
        self.recorder = Recorder()
        self.deploy("2.0.7")
        self.fake.calls.clear()

    def deploy(self, version: str, smoke: Mapping[str, Any] | None = None, **given: str) -> Applied:
        """Deploy a release as a worker does, with those variables more."""
        code = function_zip(f"VERSION = {version!r}\n")
        facts = replace(manifest(code, environments={"CI": self.place}), version=version)
        package = write_package(self.folder / version, facts, code)
        for name, document in (smoke or {}).items():
            (package / "smoke").mkdir(exist_ok=True)
            (package / "smoke" / name).write_text(json.dumps(document))
        variables = octopus_variables(**{"Octopus_Release_Number": version, **given})
        context = WorkerContext.from_globals({"octopusvariables": variables}, {})
        self.recorder = Recorder()
        return deploy(
            package,
            context,
            self.recorder.reporter,
            connect=lambda _credentials, _place: self.connection(),
            wait=replace(self.clock.wait(), stopped=self.stopped),
        )

    def connection(self) -> Connection:
        """Return a connection to it, by the clock that waiting moves."""
        return Connection(
            self.fake,
            lambda _: self.metrics,
            now=lambda: START + timedelta(seconds=self.clock.seconds),
        )

    def live(self) -> tuple[str, dict[str, float]]:
        """Return where the alias points: the version, and the weights."""
        assert self.fake.alias is not None
        weights = self.fake.alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
        return self.fake.alias["FunctionVersion"], weights

    def status(self) -> tuple[str, ...]:
        """Return what `status` has to say against it."""
        return status(Place(Environment("CI"), NAME, self.connection())).drift


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return an environment with a canary of a tenth for a quarter of an hour."""
    return World(tmp_path)


def test_a_healthy_canary_gets_all_calls_in_one_move(world: World) -> None:
    """A tenth first; then, after its time, all, with the weights emptied by the same call."""
    world.metrics.figures = {"1": BUSY, "2": GOOD}
    applied = world.deploy("2.0.8")
    names = ["configure", "upload", "publish", "canary", "verdict", "alias", "tag"]
    assert [step.name for step in applied.steps] == names
    assert world.fake.writes().count("update_alias") == 2
    assert (world.live(), world.status()) == (("2", {}), ())
    assert world.clock.seconds >= 15 * 60
    # The last calls that count began the function's timeout and two minutes before the end.
    start, end, period = world.metrics.asked[-1]
    assert (start, period) == (START.replace(second=0), 16 * 60)
    assert timedelta() <= end - (START + timedelta(minutes=12, seconds=30)) < timedelta(seconds=5)
    assert any(event.total == 900 for event in world.recorder.of(Progressed))
    assert Output("Weight", "100") in world.recorder.of(Output)


def test_a_part_of_a_percent_is_told_as_it_is(tmp_path: Path) -> None:
    """Neither as nothing, nor rounded up, beside all of the others."""
    world = World(tmp_path, strategy="canary:0.5:15m")
    with refused("deploy CI", Held):
        world.deploy("2.0.8")
    found = status(Place(Environment("CI"), NAME, world.connection()))
    shares = ["99.5% version 1 (2.0.7)", "0.5% version 2 (2.0.8)"]
    assert [*map(str, found.traffic)] == shares


def test_a_failed_canary_goes_back_by_itself_at_once(world: World) -> None:
    """With both versions' figures; the alias says what was taken back and why."""
    world.metrics.figures = {"1": BUSY, "2": BAD}
    with refused("CI-Greeter", PipelineError) as caught:
        world.deploy("2.0.8")
    assert (caught.value.exit_code, world.live()) == (1, ("1", {}))
    assert world.clock.seconds < 5 * 60
    assert "took back 2.0.8" in str(world.fake.alias)


@pytest.mark.parametrize("verdict", ["healthy", "failed"])
def test_too_few_calls_hold_and_the_same_release_is_judged_again(
    world: World, verdict: str
) -> None:
    """Neither promoted nor taken back: exit 1, the word held, both figures, the weight told.

    A deploy of the same release judges the calls since the canary began, without waiting again.
    """
    world.metrics.figures = {"1": BUSY, "2": Figures(calls=7, errors=7)}
    with refused("deploy CI", Held) as caught:
        world.deploy("2.0.8")
    assert (caught.value.exit_code, caught.value.where) == (1, "deploy CI")
    assert Output("Weight", "10") in world.recorder.of(Output)
    assert world.live() == ("1", {"2": 0.1})
    assert "canary of 2.0.8 since 2026-11-26 08:0" in world.status()[0]
    began = world.metrics.asked[-1][0]
    before = world.clock.seconds
    world.metrics.figures["2"] = GOOD if verdict == "healthy" else BAD
    world.fake.calls.clear()
    if verdict == "healthy":
        world.deploy("2.0.8")
    else:
        with refused("CI-Greeter", PipelineError):
            world.deploy("2.0.8")
    assert world.live() == ({"healthy": "2", "failed": "1"}[verdict], {})
    assert (world.metrics.asked[-1][0], world.clock.seconds - before < 10) == (began, True)
    assert "publish_version" not in world.fake.writes()


@pytest.mark.parametrize(("word", "serves"), [("promote", "2"), ("abort", "1")])
@pytest.mark.parametrize("on", ["worker", "laptop"])
def test_a_person_decides_about_a_held_canary(
    world: World, word: str, serves: str, on: str
) -> None:
    """On a worker by the variable, on a laptop by the flag; one call, no figure is asked for."""
    with pytest.raises(Held):
        world.deploy("2.0.8")
    asked = len(world.metrics.asked)
    world.fake.calls.clear()
    if on == "worker":
        world.deploy("2.0.8", AWS_Lambda_Traffic=word)
    else:
        place = Place(Environment("CI"), NAME, world.connection())
        assert end_canary(place, word, world.recorder.reporter).function_version == serves
        tags = {key: one.split()[-1] for key, one in world.fake.tags.items()}
        version = "2.0.8" if word == "promote" else "2.0.7"
        assert (tags["pipeline:package"], tags["pipeline:release"]) == (version, version)
    assert world.fake.writes()[0] == "update_alias"
    assert (world.live(), len(world.metrics.asked)) == ((serves, {}), asked)
    with refused("deploy CI", PipelineError):
        world.deploy("2.0.8", AWS_Lambda_Traffic=word)
    with refused("AWS.Lambda.Traffic", UsageError):
        world.deploy("2.0.8", AWS_Lambda_Traffic="finish")


@pytest.mark.parametrize("word", ["promote", "abort"])
def test_a_decision_that_comes_too_late_is_told_as_one(world: World, word: str) -> None:
    """Of a decision the message speaks, not of a deploy; one that is made says by whom it was."""
    with pytest.raises(Held):
        world.deploy("2.0.8")
    sts = SimpleNamespace(get_caller_identity=lambda: {"Arn": "arn:aws:iam::1:user/kim"})
    place = Place(Environment("CI"), NAME, replace(world.connection(), clients=lambda _: sts))
    world.fake.before["update_alias"] = [lambda fake: fake.move("1")]
    with refused("deploy CI", Conflict):
        end_canary(place, word, world.recorder.reporter)
    world.fake.move("1", v2=0.1)
    end_canary(place, word, world.recorder.reporter)
    assert " UTC by user/kim" in str(world.fake.alias)


def test_a_canary_that_was_held_for_long_is_judged_by_what_one_answer_holds(world: World) -> None:
    """Seven counts a minute, 100,800 of them: the rest would be on a page that nobody reads."""
    with pytest.raises(Held):
        world.deploy("2.0.8")
    world.clock.seconds += 12 * 86400
    with pytest.raises(Held):
        world.deploy("2.0.8")
    start, end, _ = world.metrics.asked[-1]
    assert 7 * (end - start) / timedelta(minutes=1) < 100_800


def test_more_alarms_than_aws_gives_by_default_are_read(world: World) -> None:
    """A page has fifty of them; what is on no page is not missing."""
    names = [f"alarm-{number}" for number in range(60)]
    world.place["alarms"] = "\n".join(names)
    world.metrics.alarms = dict.fromkeys(names, ("OK", START))
    world.metrics.figures = {"1": BUSY, "2": GOOD}
    world.deploy("2.0.8")
    assert world.live() == ("2", {})


def test_only_the_release_of_the_canary_is_promoted(world: World) -> None:
    """Deploying another one with promote names the one that is tried."""
    with pytest.raises(Held):
        world.deploy("2.0.8")
    with refused("deploy CI", PipelineError):
        world.deploy("2.0.9", AWS_Lambda_Traffic="promote")
    assert world.live() == ("1", {"2": 0.1})


def test_an_alarm_counts_only_when_it_turns_red_after_the_start(tmp_path: Path) -> None:
    """A fix is deployed into a red environment; one that turns red later takes the canary back."""
    world = World(tmp_path, alarms="errors\nlatency")
    early, late = START - timedelta(hours=1), START + timedelta(minutes=9)
    world.metrics.figures = {"1": BUSY, "2": GOOD, "3": GOOD}
    world.metrics.alarms = {"errors": ("ALARM", early), "latency": ("OK", early)}
    world.deploy("2.0.8")
    assert world.live() == ("2", {})
    assert "  alarm     errors" in [event.text for event in world.recorder.of(Line)]
    world.metrics.alarms["latency"] = ("ALARM", late + timedelta(hours=1))
    with refused("CI-Greeter", PipelineError):
        world.deploy("2.0.9")
    assert world.live() == ("2", {})


@pytest.mark.parametrize(
    ("new", "place"),
    [
        (Figures(calls=40, throttles=9), {}),
        (Figures(throttles=50), {}),
        (Figures(calls=40, p99=2100.0), {"thresholds.p99": "2s"}),
        (Figures(calls=40, errors=1), {"thresholds.errors": "2.4%"}),
    ],
)
def test_each_threshold_is_named_when_it_is_broken(
    tmp_path: Path, new: Figures, place: dict[str, str]
) -> None:
    """Throttled calls count although nothing ran; what is as bad in the old version does not."""
    world = World(tmp_path, **place)
    world.metrics.figures = {"1": BUSY, "2": new}
    with refused("CI-Greeter", PipelineError):
        world.deploy("2.0.8")
    world.metrics.figures = {"1": new, "3": new}
    world.deploy("2.0.9")
    assert world.live() == ("3", {})


def test_events_that_are_given_up_count_where_the_wait_covers_three_attempts(
    tmp_path: Path,
) -> None:
    """The function's timeout is 30 s: 150 s until figures, 270 s for the attempts, one more."""
    world = World(tmp_path, **{"thresholds.dead-letters": "0", "strategy": "canary:10:7m"})
    with refused("deploy CI", PipelineError):
        world.deploy("2.0.8")
    world.place["strategy"] = "canary:10:8m"
    world.metrics.figures, world.metrics.dropped = {"1": BUSY, "2": GOOD}, 1
    with refused("CI-Greeter", PipelineError):
        world.deploy("2.0.8")


def test_figures_that_cannot_be_read_are_no_verdict(world: World) -> None:
    """Nor is an answer that AWS calls incomplete, or lacks what counts: the canary is held."""
    world.metrics.figures = {"1": BUSY, "2": BAD}
    world.metrics.status = "PartialData"
    with refused("deploy CI", Held):
        world.deploy("2.0.8")
    world.metrics.status = "Complete"
    world.metrics.figures["2"] = Figures(calls=60)
    world.place["thresholds.p99"] = "2s"
    with refused("deploy CI", Held):
        world.deploy("2.0.8")


def test_somebody_who_moves_the_alias_meanwhile_is_not_overwritten(world: World) -> None:
    """The deploy ends with a conflict at its next look, and theirs stays."""
    world.metrics.figures = {"1": BUSY, "2": GOOD}
    quiet: Script = lambda _: None  # noqa: E731
    world.fake.after["get_alias"] = [quiet, quiet, lambda f: f.move("1", v2=0.5)]
    with refused("deploy CI", Conflict):
        world.deploy("2.0.8")
    assert world.live() == ("1", {"2": 0.5})


def test_who_stops_a_deploy_is_told_where_the_calls_go(world: World) -> None:
    """Exit 130 within a second; the canary stays, for the next deploy to judge."""
    world.metrics.figures = {"1": BUSY, "2": GOOD}
    world.stopped = lambda: world.live()[1] != {}
    with refused("CI-Greeter", Interrupted):
        world.deploy("2.0.8")
    world.stopped = lambda: False
    world.deploy("2.0.8")
    assert world.live() == ("2", {})


def test_a_right_that_a_canary_lacks_is_named_before_anything_is_written(world: World) -> None:
    """Without figures it could only be held."""
    denied = refusal("AccessDeniedException", "not authorized", "GetMetricData")
    world.metrics.refuses = denied
    with refused("CloudWatch", PipelineError):
        world.deploy("2.0.8")
    assert world.fake.writes() == []


BLOCKS = {
    "Role": lambda w: w.fake.touch(Role="arn:aws:iam::123456789012:role/other"),
    "DeadLetterConfig": lambda w: w.fake.touch(DeadLetterConfig={"TargetArn": "arn:of:a:queue"}),
    "provisioned concurrency": lambda w: w.fake.provisioned.extend(["1", "live"]),
    "which CodeDeploy": lambda w: w.fake.move("1", v1=0.5),
    "take 8m or more": lambda w: w.fake.touch(Timeout=300),
    "no alarm latency": lambda w: w.place.update(alarms="latency"),
    "cannot be read": lambda w: w.fake.versions["1"].update(Environment={"Error": {"a": "KMS"}}),
}


@pytest.mark.parametrize("named", BLOCKS)
def test_what_a_canary_demands_is_checked_before_anything_is_written(
    world: World, named: str
) -> None:
    """What stands in the way is named, all at once is offered, and works."""
    world.place["strategy"] = "canary:10:7m"
    BLOCKS[named](world)
    with refused("deploy CI", PipelineError):
        world.deploy("2.0.8")
    assert world.fake.writes() == []
    world.deploy("2.0.8", AWS_Lambda_Strategy="all-at-once")
    assert world.live() == ("2", {})


def test_a_strategy_of_octopus_that_is_none_is_named_by_its_variable(world: World) -> None:
    """Nobody finds it under the name that it has in pyproject.toml."""
    with refused("AWS.Lambda.Strategy", UsageError):
        world.deploy("2.0.8", AWS_Lambda_Strategy="at once")
    assert world.fake.writes() == []


def test_the_first_deploy_moves_at_once_and_so_does_one_without_alias(world: World) -> None:
    """Nothing serves yet that could take the other calls."""
    # World's own deploy was the first one.
    assert world.live() == ("1", {})
    world.fake.alias = None
    world.deploy("2.0.8")
    assert not world.metrics.asked


@pytest.mark.parametrize("strategy", ["canary:10:15m", "all-at-once"])
@pytest.mark.parametrize("after", ["2.0.7", "2.0.8", "2.0.9"])
def test_what_a_dead_worker_left_is_finished_or_undone(
    world: World, strategy: str, after: str
) -> None:
    """Killed while it watches: the next deploy, whatever its release, leaves whole traffic."""
    world.metrics.figures = {"1": BUSY, "2": GOOD, "3": GOOD}
    world.fake.after["update_alias"] = [refusal("UnrecognizedClientException", "killed")]
    with pytest.raises(PipelineError):
        world.deploy("2.0.8")
    assert world.live() == ("1", {"2": 0.1})
    assert world.status()
    world.deploy(after, AWS_Lambda_Strategy=strategy)
    assert world.live() == ({"2.0.7": "1", "2.0.8": "2", "2.0.9": "3"}[after], {})
    assert world.status() == ()


@pytest.mark.parametrize("verdict", ["healthy", "failed"])
def test_a_worker_may_die_at_any_call_of_a_canary(tmp_path: Path, verdict: str) -> None:
    """Between every two calls: the next deploy of the same release ends as the first would have."""
    number, died = 0, True
    while died:
        number, died = number + 1, False
        world = World(tmp_path / str(number), strategy="canary:10:3m")
        world.metrics.figures = {"1": BUSY, "2": GOOD if verdict == "healthy" else BAD}
        world.fake.dies_at = number
        with suppress(PipelineError):
            try:
                world.deploy("2.0.8")
            except Killed:
                died, world.fake.dies_at = True, -1
                assert world.live() in [("1", {}), ("1", {"2": 0.1}), ("2", {})]
                world.deploy("2.0.8")
        world.fake.dies_at = -1
        assert world.live() == ({"healthy": "2", "failed": "1"}[verdict], {}), number
        assert world.status() == ()
    assert number > 30


def test_an_instant_switch_warns_of_reserved_concurrency(world: World) -> None:
    """Old environments still hold it while the new ones start."""
    world.fake.reserved = 5
    world.deploy("2.0.8", AWS_Lambda_Strategy="all-at-once")
    assert_said(world.recorder.of(Warned)[0].text)


def test_a_smoke_test_goes_before_any_traffic(world: World) -> None:
    """The new version is asked under its number; what it gives must have the expected members."""
    smoke = {"smoke.json": {"event": {"name": "you", "n": [1, {"a": 2}]}, "answer": {"n": [1, {}]}}}
    applied = world.deploy("2.0.8", smoke, AWS_Lambda_Strategy="all-at-once")
    asked = [call for call in world.fake.calls if call[0] == "invoke"]
    assert asked == [("invoke", {"FunctionName": NAME, "Qualifier": "2"})]
    names = [name for name, _ in world.fake.calls]
    assert names.index("invoke") < names.index("update_alias")
    document = json.loads(policy(applied.plan))
    allowed = [one for one in document["Statement"] if "lambda:InvokeFunction" in one["Action"]]
    assert [one["Resource"] for one in allowed] == [f"{applied.plan.observed.arn}:*"]
    world.fake.calls.clear()
    world.deploy("2.0.8", smoke, AWS_Lambda_Strategy="all-at-once")
    assert "invoke" not in [name for name, _ in world.fake.calls]


@pytest.mark.parametrize(
    "answer", [RuntimeError("no such table"), {"message": "Hello"}, {"name": 1}, "good day"]
)
def test_a_wrong_answer_leaves_traffic_where_it_was(world: World, answer: Any) -> None:
    """With the end of the log, and how to try it here."""
    world.fake.answers["2"] = answer
    smoke = {"smoke.json": {"event": {}, "answer": {"name": True}}}
    with refused("CI-Greeter:2", PipelineError):
        world.deploy("2.0.8", smoke)
    assert world.live() == ("1", {})


def test_what_people_read_of_a_canary(tmp_path: Path) -> None:
    """A plan, what is refused, held, failed, aborted: each says what is, and what to do next."""
    world = World(tmp_path, alarms="errors", **{"thresholds.dead-letters": "0"})
    world.metrics.alarms = {"errors": ("ALARM", START - timedelta(hours=1))}
    smoke = {"smoke.json": {"event": {}, "answer": {"greeting": "hi"}}}

    def told(title: str, version: str, **given: Any) -> None:
        try:
            world.deploy(version, **given)
        except PipelineError as error:
            world.recorder.events.append(Line(str(error)))
        lines = [event.text for event in world.recorder.of(Line) if not event.verbose]
        assert_wording("canaries", title, "\n".join(lines), {})

    told("a plan with an alarm that is red", "2.0.8", Pipeline_DryRun="True")
    world.place["strategy"] = "canary:10:5m"
    world.fake.touch(Role="arn:aws:iam::123456789012:role/other")
    told("not possible", "2.0.8")
    world.fake.touch(Role="arn:aws:iam::123456789012:role/greeter")
    world.place["strategy"] = "canary:10:15m"
    told("a smoke test that fails", "2.0.8", smoke=smoke)
    world.metrics.figures = {"1": BUSY, "3": Figures(calls=7, errors=1, p99=95.0)}
    told("held", "2.0.9")
    assert_wording("canaries", "status of one held", "\n".join(world.status()), {})
    told("another release is promoted", "2.0.8", AWS_Lambda_Traffic="promote")
    told("aborted", "2.0.9", AWS_Lambda_Traffic="abort")
    told("nothing to abort", "2.0.9", AWS_Lambda_Traffic="abort")
    world.metrics.figures = {"1": BUSY, "3": BAD}
    told("failed", "2.0.9")
