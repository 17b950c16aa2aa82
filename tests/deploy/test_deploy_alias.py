"""Publishing versions and moving the alias: traffic meets whole releases, and nobody's is lost."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from pipeline.core.errors import Conflict, PipelineError
from pipeline.core.events import Stage
from pipeline.deploy.apply import apply
from pipeline.deploy.aws_session import Connection
from pipeline.deploy.observe import Observed, settled
from pipeline.deploy.plan import Wanted

from tests.deploy.deploy_support import NAME, OLD, Clock, Recorder, function_zip, manifest
from tests.deploy.fake_lambda import FakeLambda, planned, refusal
from tests.words import refused

_VERSIONS = ("2.0.7", "2.0.8", "2.0.9")
CODES = {version: function_zip(f"VERSION = {version!r}\n") for version in _VERSIONS}
LOST = ReadTimeoutError(endpoint_url="https://lambda.eu-west-1.amazonaws.com")


def wanted(version: str) -> Wanted:
    """Return what the package of that version sets."""
    facts = replace(manifest(CODES[version]), version=version)
    return Wanted.from_manifest(facts, {"GREETING": "hello", "LEVEL": "info"}, version)


def deploy(fake: FakeLambda, version: str) -> Observed:
    """Deploy that package, and forget the calls of before."""
    fake.calls.clear()
    there = Connection(fake, lambda _: fake)
    found = settled(fake, NAME, Clock().wait(), Stage("plan", print))
    plan = planned(fake, wanted(version), found)
    return apply(plan, CODES[version], there, Recorder().reporter, Clock().wait())


def serving(fake: FakeLambda) -> dict[str, Any]:
    """Return the configuration that calls of the alias meet."""
    assert fake.alias is not None
    assert "RoutingConfig" not in fake.alias
    return fake.versions[fake.alias["FunctionVersion"]]


def test_each_release_has_a_version_that_says_which_one_it_is() -> None:
    """The descriptions that Lambda lists are a map of the releases; the same bytes count too."""
    fake = FakeLambda.holding(OLD)
    deploy(fake, "2.0.7")
    deploy(fake, "2.0.8")
    same = replace(wanted("2.0.8"), description="2.0.9 3f2c1ab00000: Greets")
    plan = planned(fake, same)
    assert [step.name for step in plan.steps] == ["configure", "publish", "alias"]
    assert {number: one["Description"] for number, one in fake.versions.items()} == {
        "1": "2.0.7 3f2c1ab00000: Greets",
        "2": "2.0.8 3f2c1ab00000: Greets",
    }


def test_an_earlier_release_is_taken_up_again_without_an_upload() -> None:
    """Its version is there: the alias moves, and code and settings of the function stay."""
    fake = FakeLambda.holding(OLD)
    deploy(fake, "2.0.7")
    deploy(fake, "2.0.8")
    assert deploy(fake, "2.0.7").version == "1"
    assert fake.writes() == ["update_alias", "tag_resource"]
    assert serving(fake)["Description"].startswith("2.0.7 ")
    deploy(fake, "2.0.7")
    assert fake.writes() == []


def test_a_change_of_the_stack_reaches_traffic_with_the_next_deploy() -> None:
    """The same package again publishes what the stack changed; so does an earlier one."""
    fake = FakeLambda.holding(OLD)
    deploy(fake, "2.0.7")
    deploy(fake, "2.0.8")
    fake.touch(Timeout=60)
    deploy(fake, "2.0.8")
    assert fake.writes() == ["publish_version", "update_alias"]
    assert serving(fake)["Timeout"] == 60
    deploy(fake, "2.0.7")
    assert "update_function_code" in fake.writes()
    assert (serving(fake)["Timeout"], serving(fake)["Description"][:5]) == (60, "2.0.7")


def test_weights_that_were_left_are_ended() -> None:
    """An alias that still gives a part of the calls to another version serves one again."""
    fake = FakeLambda.holding(OLD)
    deploy(fake, "2.0.7")
    deploy(fake, "2.0.8")
    fake.move("2", v1=0.1)
    deploy(fake, "2.0.8")
    assert fake.writes() == ["update_alias"]
    assert serving(fake)["Version"] == "2"


def test_a_function_without_the_alias_is_published_too() -> None:
    """Nothing is made behind a stack's back; a second deploy has nothing to do."""
    fake = FakeLambda.holding(OLD)
    fake.alias = None
    assert deploy(fake, "2.0.7").version == "1"
    assert fake.alias is None
    deploy(fake, "2.0.7")
    assert fake.writes() == []


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_move_of_somebody_else_is_never_overwritten(moment: str) -> None:
    """Whether theirs comes before ours or after it: a conflict names both, and theirs stays."""
    fake = FakeLambda.holding(OLD)
    deploy(fake, "2.0.7")
    getattr(fake, moment)["update_alias"] = [lambda f: f.move("1")]
    if moment == "before":
        fake.before["update_alias"] = [lambda f: f.move("1", v2=0.5)]
    with refused("CI-Greeter", Conflict):
        deploy(fake, "2.0.8")
    assert fake.alias is not None
    assert fake.alias["FunctionVersion"] == "1"


def test_a_version_that_fails_gets_no_traffic() -> None:
    """The reason is named, and where traffic goes."""
    fake = FakeLambda.holding(OLD)
    deploy(fake, "2.0.7")
    failed = {"State": "Failed", "StateReasonCode": "InvalidSubnet"}
    fake.after["publish_version"] = [lambda f: f.versions["2"].update(failed)]
    with refused("version 2 of CI-Greeter", PipelineError):
        deploy(fake, "2.0.8")
    assert serving(fake)["Version"] == "1"


WRITES = (
    "update_function_configuration",
    "update_function_code",
    "publish_version",
    "update_alias",
    "tag_resource",
)


@pytest.mark.parametrize(("moment", "call"), list(product(("before", "after"), WRITES)))
@pytest.mark.parametrize("end", [KeyboardInterrupt(), LOST, refusal("ServiceException", "oops")])
def test_whatever_ends_a_deploy_anywhere_the_next_one_goes_on(
    moment: str, call: str, end: BaseException
) -> None:
    """At each moment the alias serves a whole release; then the same deploy does what is left."""
    fake = FakeLambda.holding(OLD)
    deploy(fake, "2.0.7")
    fake.tags.clear()
    fake.accepted.clear()
    getattr(fake, moment)[call] = [end]
    with suppress(KeyboardInterrupt, PipelineError):
        deploy(fake, "2.0.8")
    moved = "update_alias" in fake.accepted
    assert serving(fake)["Description"][:5] == ("2.0.8" if moved else "2.0.7")
    assert getattr(fake, moment)[call] == []
    deploy(fake, "2.0.8")
    assert serving(fake)["Description"].startswith("2.0.8 ")
    assert sorted(fake.versions) == ["1", "2"]
    deploy(fake, "2.0.8")
    assert fake.writes() == []
