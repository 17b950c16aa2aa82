"""Old versions go, on request and after a deploy that is set so; none that anything needs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pipeline.core.errors import PipelineError
from pipeline.core.events import Output, Warned
from pipeline.project.project import Environment
from pipeline.verbs.versions import Pruned, prune
from pipeline.verbs.which_function import Place

from tests.deploy.deploy_support import ARN, NAME, OLD, Recorder
from tests.deploy.deploying import Deploy
from tests.deploy.fake_lambda import FakeLambda, Script, refusal
from tests.deploy.test_rollback_status import place
from tests.words import assert_said, refused


def published(count: int) -> FakeLambda:
    """Return a function with so many releases, of which the last one serves."""
    fake = FakeLambda.holding(OLD, CodeSize=5 << 20)
    for number in range(1, count + 1):
        fake.touch(Description=f"2.0.{number} 3f2c1ab00000: Greets")
        fake.publish_version(FunctionName=NAME, CodeSha256=fake.configuration["CodeSha256"])
    fake.move(str(count))
    fake.calls.clear()
    return fake


def pruned(fake: FakeLambda, keep: int | None = 1, *, dry_run: bool = False) -> Pruned:
    """Remove what may go."""
    return prune(place(fake), keep, Recorder().reporter, dry_run=dry_run)


def test_what_nothing_needs_goes() -> None:
    """The version that serves and the one that a rollback goes to stay, whatever the number says.

    A dry run only looks. What the region's code may take is asked, not known.
    """
    fake = published(5)
    looked = pruned(fake, dry_run=True)
    assert (looked.removed, fake.writes()) == ((), [])
    done = pruned(fake)
    assert ([one.number for one in done.removed], [*fake.versions]) == ([1, 2, 3], ["4", "5"])
    assert [one.needed for one in done.versions] == ["live", "what a rollback goes to", "", "", ""]
    assert done.storage is not None
    assert (done.storage.limit - done.storage.used) >> 30 == 200
    assert not pruned(fake).removed
    assert ("delete_function", {"FunctionName": NAME, "Qualifier": "1"}) in fake.calls


def test_a_number_of_the_newest_stays() -> None:
    """By flag, by the environment's setting, or ten."""
    fake = published(5)
    assert len(pruned(fake, 3).removed) == 2
    there = place(fake)
    there = Place(Environment("CI", keep_versions=2), NAME, there.connection)
    assert prune(there, None, Recorder().reporter, dry_run=True).keep == 2
    assert len(pruned(published(12), None).removed) == 2


def test_what_leads_to_a_version_keeps_it() -> None:
    """Other aliases, weights, provisioned concurrency of a version and of an alias.

    After a rollback the newest one stays too, and so does what served before a deploy. What this
    pipeline did not make is left alone.
    """
    fake = published(10)
    fake.move("7", v3=0.1)
    assert fake.alias is not None
    fake.alias["Description"] = "2.0.7 3f2c1ab: deployed 2026-11-26 09:05 UTC after version 5"
    fake.aliases = [{"Name": "old", "FunctionVersion": "2"}]
    fake.provisioned = ["4", "old"]
    fake.versions["1"]["Description"] = "by hand"
    done = pruned(fake)
    assert {one.number: one.needed for one in done.versions} == {
        10: "the newest", 9: "", 8: "", 7: "live", 6: "what a rollback goes to",
        5: "what a rollback goes to", 4: "provisioned concurrency", 3: "a part of live",
        2: "old", 1: "not made by this pipeline",
    }  # fmt: skip
    assert [*fake.versions] == ["1", "2", "3", "4", "5", "6", "7", "10"]


@pytest.mark.parametrize(
    "call", ["list_aliases", "list_provisioned_concurrency_configs", "list_versions_by_function"]
)
def test_where_the_need_is_not_known_nothing_goes(call: str) -> None:
    """A right that is missing must not look like an empty list."""
    fake = published(5)
    fake.refuses[call] = refusal("AccessDeniedException", "no")
    with refused("CI-Greeter", PipelineError):
        pruned(fake)
    assert len(fake.versions) == 5


def test_a_version_that_is_taken_up_meanwhile_stays() -> None:
    """AWS refuses to delete what an alias leads to by now; the others go all the same."""
    fake = published(5)
    moves: list[BaseException | Script] = [lambda there: there.move("2")]
    fake.before["delete_function"] = moves
    fake.refuses["get_account_settings"] = refusal("AccessDeniedException", "no")
    done = pruned(fake)
    assert (len(done.removed), done.storage) == (2, None)
    assert [*fake.versions] == ["2", "4", "5"]


def test_a_deploy_removes_them_where_it_is_set_so(tmp_path: Path) -> None:
    """As its last act, which never fails it; its rights are in the policy only with the setting."""
    one = Deploy(tmp_path / "set", environments={"CI": {"keep-versions": "1"}})
    one.fake = published(5)
    one.run(Pipeline_PrintPolicy="True")
    allowed = json.loads(one.recorder.of(Output)[-1].value)["Statement"]
    assert {
        action for right in allowed if right["Resource"] == f"{ARN}:*" for action in right["Action"]
    } == {"lambda:DeleteFunction", "lambda:GetFunction"}
    one.run()
    assert [*one.fake.versions] == ["5", "6"]
    one.fake.refuses["list_aliases"] = refusal("AccessDeniedException", "no")
    one.run()
    assert_said(one.recorder.of(Warned)[-1].text)
    plain = Deploy(tmp_path / "plain")
    plain.run(Pipeline_PrintPolicy="True")
    assert "DeleteFunction" not in plain.recorder.of(Output)[-1].value
