"""Applying a plan, against AWS's documented answers and errors."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from pipeline.core.errors import Conflict, NotTheSame, PipelineError
from pipeline.core.events import Finished, Progressed
from pipeline.deploy.apply import apply
from pipeline.deploy.aws_errors import Busy, InUse, Missing, Throttled, Unanswered
from pipeline.deploy.aws_session import Connection
from pipeline.deploy.observe import Observed, observe
from pipeline.deploy.plan import Wanted

from tests.deploy.deploy_support import NAME, OLD, Clock, Recorder, function_zip, manifest
from tests.deploy.fake_lambda import FakeLambda, planned, refusal
from tests.words import refused

NEW = function_zip()
WANTED = Wanted.from_manifest(manifest(NEW), {"GREETING": "hello", "LEVEL": "info"}, "2.0.7")


def deploy_to(
    fake: FakeLambda,
    *,
    recorder: Recorder | None = None,
    planned_on: Observed | None = None,
    **wait: float,
) -> Observed:
    """Plan on what the fake holds, or held, and apply."""
    plan = planned(fake, WANTED, planned_on)
    there = Connection(fake, lambda _: fake)
    return apply(plan, NEW, there, (recorder or Recorder()).reporter, Clock().wait(**wait))


def test_traffic_moves_when_the_new_version_is_there() -> None:
    """All steps are done in order, the version is then as wanted, and nothing is left to do."""
    fake = FakeLambda.holding(OLD)
    found = deploy_to(fake)
    assert fake.writes() == [
        "update_function_configuration",
        "update_function_code",
        "publish_version",
        "update_alias",
        "tag_resource",
    ]
    assert planned(fake, WANTED).steps == ()
    assert found == observe(fake, NAME, "1")


def test_keys_of_others_stay() -> None:
    """The environment is sent as a whole, with the keys that others own."""
    fake = FakeLambda.holding(OLD)
    deploy_to(fake)
    assert fake.configuration["Environment"]["Variables"] == {
        "OWNED_BY_STACK": "42",
        "GREETING": "hello",
        "LEVEL": "info",
    }


def test_only_what_differs_is_sent() -> None:
    """An edit of ours is undone without runtime, handler or environment, before it could serve."""
    fake = FakeLambda.holding(OLD)
    deploy_to(fake)
    fake.touch(Description="by hand", Timeout=60)
    fake.calls.clear()
    deploy_to(fake)
    request = dict(fake.calls)["update_function_configuration"]
    assert set(request) == {"FunctionName", "RevisionId", "Description"}
    assert fake.writes() == ["update_function_configuration", "publish_version", "update_alias"]


def test_architecture_and_revision_are_always_sent() -> None:
    """The code update names the architecture and the revision read after the configuration."""
    fake = FakeLambda.holding(OLD)
    deploy_to(fake)
    requests = dict(fake.calls)
    assert requests["update_function_code"]["Architectures"] == ["arm64"]
    first = requests["update_function_configuration"]["RevisionId"]
    second = requests["update_function_code"]["RevisionId"]
    assert first
    assert second
    assert first != second


def test_a_service_without_revisions_gets_none() -> None:
    """Where the service gives no RevisionId, none is sent, and the deploy works."""
    fake = FakeLambda.holding(OLD)
    fake.with_revisions = False
    del fake.configuration["RevisionId"]
    fake.move("$LATEST")
    deploy_to(fake)
    assert {request.get("RevisionId", "") for _, request in fake.calls} == {""}


def test_a_busy_function_is_waited_for() -> None:
    """409 while another update runs is waited out, then the update goes through."""
    fake = FakeLambda.holding(OLD)
    busy = refusal("ResourceConflictException", "An update is in progress")
    fake.before["update_function_code"] = [busy, busy]
    recorder = Recorder()
    deploy_to(fake, recorder=recorder)
    assert fake.writes().count("update_function_code") == 3
    assert any("An update is in progress" in event.text for event in recorder.of(Progressed))


@pytest.mark.parametrize("method", ["publish_version", "update_alias", "tag_resource"])
def test_every_call_is_made_again_once_no_other_update_is_under_way(method: str) -> None:
    """409 has that meaning for the alias and the tags too."""
    fake = FakeLambda.holding(OLD)
    said = "The function is currently in the following state: Pending"
    fake.before[method] = [refusal("ResourceConflictException", said)]
    deploy_to(fake)
    assert fake.writes().count(method) == 2


def test_a_409_that_does_not_end_by_itself_is_not_waited_for() -> None:
    """The same code tells of what is there already."""
    fake = FakeLambda.holding(OLD)
    fake.before["update_function_code"] = [
        refusal("ResourceConflictException", "The statement id (a) provided already exists.")
    ]
    with refused("CI-Greeter", InUse):
        deploy_to(fake)
    assert fake.writes().count("update_function_code") == 1


def test_tags_that_somebody_set_after_the_plan_are_not_overwritten() -> None:
    """Tags have no revision: they are read and compared before ours are written."""
    fake = FakeLambda.holding(OLD)
    fake.before["update_alias"] = [lambda f: f.tags.update({"team": "theirs", "other": "1"})]
    with refused("CI-Greeter", Conflict):
        deploy_to(fake)
    assert fake.tags == {"team": "theirs", "other": "1"}


def test_waiting_for_a_busy_function_has_a_ceiling() -> None:
    """A function that stays busy ends the deploy, and what was done before is taken back."""
    fake = FakeLambda.holding(OLD)
    busy = refusal("ResourceConflictException", "An update is in progress")
    fake.before["update_function_code"] = [busy] * 100
    with refused("CI-Greeter", Busy):
        deploy_to(fake, ceiling=5.0)


def test_waiting_for_an_update_has_a_ceiling_and_names_the_state() -> None:
    """An update that does not settle ends the deploy with its last state."""
    fake = FakeLambda.holding(OLD)
    fake.busy_reads = 1000
    with refused("CI-Greeter", PipelineError):
        deploy_to(fake, ceiling=5.0)


def test_a_failed_update_gives_the_reason_and_a_hint() -> None:
    """LastUpdateStatus Failed becomes an error with AWS's reason code and what helps."""
    fake = FakeLambda.holding(OLD)
    fake.outcome = {
        "LastUpdateStatus": "Failed",
        "LastUpdateStatusReasonCode": "EniLimitExceeded",
        "LastUpdateStatusReason": "The account is out of ENIs",
    }
    with refused("CI-Greeter", PipelineError):
        deploy_to(fake)


def test_somebody_elses_change_is_a_conflict_that_names_it() -> None:
    """412 shows what is live and what was planned on, and nothing was changed."""
    fake = FakeLambda.holding(OLD)
    fake.before["update_function_configuration"] = [lambda f: f.touch(Timeout=60)]
    with refused("CI-Greeter", Conflict):
        deploy_to(fake)
    assert fake.configuration["Handler"] == "placeholder.handle"


def test_a_conflict_does_not_show_environment_values() -> None:
    """Somebody's new environment value is named by its key only."""
    fake = FakeLambda.holding(OLD)
    secret = {"Variables": {"OWNED_BY_STACK": "topsecret"}}
    fake.before["update_function_configuration"] = [lambda f: f.touch(Environment=secret)]
    with refused("CI-Greeter", Conflict) as caught:
        deploy_to(fake)
    assert "topsecret" not in str(caught.value)


def test_a_change_between_the_steps_is_a_conflict() -> None:
    """Somebody's change while ours settles is noticed, although the revision is read anew."""
    fake = FakeLambda.holding(OLD)
    fake.outcome = {"MemorySize": 1024}
    with refused("CI-Greeter", Conflict):
        deploy_to(fake)
    assert "update_function_code" not in fake.writes()


def test_a_lost_answer_to_our_own_update_is_no_conflict() -> None:
    """412 on a repeated request is fine when what we wanted is there already."""
    fake = FakeLambda.holding(OLD)
    stale = refusal("PreconditionFailedException", "The RevisionId provided does not match")
    fake.after["update_function_code"] = [stale]
    found = deploy_to(fake)
    assert found.code_sha256 == WANTED.code_sha256
    assert fake.writes()[-1] == "tag_resource"


def test_other_code_than_sent_is_not_the_same() -> None:
    """A service that ends up with another CodeSha256 fails the deploy with both hashes."""
    fake = FakeLambda.holding(OLD)
    fake.after["update_function_code"] = [lambda f: f.touch(CodeSha256="signed")]
    with pytest.raises(NotTheSame, match="signed") as caught:
        deploy_to(fake)
    assert WANTED.code_sha256 in caught.value.what
    assert "tag_resource" not in fake.writes()


@pytest.mark.parametrize("call", ["update_function_configuration", "update_function_code"])
def test_code_that_comes_after_ours_was_taken_is_somebody_elses(call: str) -> None:
    """Another deploy while ours settles is a conflict, whichever of our updates that is."""
    fake = FakeLambda.holding(OLD)
    fake.before[call] = [lambda f: f.outcome.update(CodeSha256="theirs")]
    with refused("CI-Greeter", Conflict):
        deploy_to(fake)
    assert "publish_version" not in fake.writes()


def test_an_edit_while_a_version_becomes_ready_is_a_conflict() -> None:
    """The version does not have it, so traffic stays until somebody has looked."""
    fake = FakeLambda.holding(OLD)
    fake.after["publish_version"] = [lambda f: f.touch(MemorySize=1024)]
    with refused("CI-Greeter", Conflict):
        deploy_to(fake)
    assert "update_alias" not in fake.writes()


def test_a_service_that_ignores_the_architecture_is_told_by_the_value() -> None:
    """Ignoring Architectures is no conflict; the value that comes back says what is there."""
    fake = FakeLambda.holding(OLD)
    fake.after["update_function_code"] = [lambda f: f.touch(Architectures=["x86_64"])]
    assert deploy_to(fake).architecture == "x86_64"


@pytest.mark.parametrize(
    "method",
    [
        "update_function_configuration", "update_function_code", "tag_resource", "get_alias",
        "list_versions_by_function", "publish_version", "update_alias", "get_function",
    ],
)  # fmt: skip
def test_access_denied_names_the_permission(method: str) -> None:
    """The missing permission is named, for every call that a deploy makes."""
    fake = FakeLambda.holding(OLD)
    fake.before[method] = [refusal("AccessDeniedException", "no")]
    with refused(None, PipelineError):
        deploy_to(fake)


def test_access_denied_names_the_permission_that_aws_names() -> None:
    """AWS's own words win over the call that was made."""
    fake = FakeLambda.holding(OLD)
    said = "User: arn:aws:iam::1:user/d is not authorized to perform: iam:PassRole on resource: x"
    fake.before["update_function_code"] = [refusal("AccessDeniedException", said)]
    with refused("CI-Greeter", PipelineError):
        deploy_to(fake)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ResourceNotFoundException", Missing),
        ("TooManyRequestsException", Throttled),
        ("CodeStorageExceededException", PipelineError),
        ("InvalidParameterValueException", PipelineError),
        ("ServiceException", PipelineError),
        ("UnrecognizedClientException", PipelineError),
    ],
)
def test_each_refusal_says_what_to_do(code: str, kind: type[PipelineError]) -> None:
    """AWS's code and words are kept, and what to do next is added."""
    fake = FakeLambda.holding(OLD)
    fake.before["update_function_code"] = [refusal(code, "AWS says so")]
    with refused("CI-Greeter", kind):
        deploy_to(fake)


def test_a_dropped_connection_is_a_known_error() -> None:
    """A network failure says that a deploy continues where it stopped."""
    fake = FakeLambda.holding(OLD)
    lost = EndpointConnectionError(endpoint_url="https://lambda.eu-west-1.amazonaws.com")
    fake.before["update_function_code"] = [lost]
    with refused("CI-Greeter", Unanswered):
        deploy_to(fake)


def test_a_refused_upload_leaves_the_function_as_it_was() -> None:
    """What ran before runs on with its own configuration; the next deploy does everything."""
    fake = FakeLambda.holding(OLD)
    before = replace(observe(fake, NAME), revision_id="")
    fake.before["update_function_code"] = [refusal("ServiceException", "oops")]
    with refused("CI-Greeter", PipelineError):
        deploy_to(fake)
    assert replace(observe(fake, NAME), revision_id="") == before
    deploy_to(fake)
    assert planned(fake, WANTED).steps == ()


def test_tags_are_read_back() -> None:
    """A tag that does not stay ends the deploy; one that cannot be read is said to be unproven."""
    fake = FakeLambda.holding(OLD)
    fake.after["tag_resource"] = [lambda f: f.tags.update({"team": "theirs"})]
    with refused("CI-Greeter", Conflict):
        deploy_to(fake)
    fake = FakeLambda.holding(OLD)
    fake.readable_tags = False
    recorder = Recorder()
    deploy_to(fake, recorder=recorder)
    assert "lambda:ListTags" in recorder.of(Finished)[-1].text


CALLS = (
    "get_function",
    "update_function_configuration",
    "update_function_code",
    "publish_version",
    "get_alias",
    "update_alias",
    "tag_resource",
)
EDITS: dict[str, dict[str, Any]] = {
    "memory": {"MemorySize": 1024},
    "handler": {"Handler": "theirs.handle"},
    "variables": {"Environment": {"Variables": {"OWNED_BY_STACK": "theirs"}}},
    "code": {"CodeSha256": "theirs"},
}


# Where the upload is refused, nobody comes to what follows it.
NEVER = {("after", "update_function_code")}
NEVER |= set(product(("before", "after"), ("publish_version", "update_alias", "tag_resource")))
MOMENTS = [
    (moment, call, refused)
    for moment, call, refused in product(("before", "after"), CALLS, (False, True))
    if not (refused and (moment, call) in NEVER)
]


@pytest.mark.parametrize(("moment", "call", "refused"), MOMENTS)
@pytest.mark.parametrize("edit", EDITS)
def test_whenever_somebody_edits_the_function_nothing_of_theirs_is_lost_and_nothing_false_said(
    edit: str, moment: str, call: str, *, refused: bool
) -> None:
    """An edit around any call is kept, and told where it can be seen.

    "Nothing was changed" is said only where that is so.
    """
    for nth in range(12):
        fake = FakeLambda.holding(OLD)
        if refused:
            fake.refuses["update_function_code"] = refusal("ServiceException", "oops")
        plan_on = observe(fake, NAME)
        edited: list[int] = []

        def touch(there: FakeLambda, edited: list[int] = edited) -> None:
            edited.append(len(there.calls) - (moment == "before"))
            there.touch(**EDITS[edit])

        getattr(fake, moment)[call] = [*[lambda _: None] * nth, touch]
        try:
            found = deploy_to(fake, planned_on=plan_on)
        except PipelineError as error:
            said = str(error)
        else:
            said = f"done {found.code_sha256}"
            later = [name for at in edited for name, _ in fake.calls[at:]]
            assert "get_function" not in later, f"{nth}: nobody was told of it"
        if "Nothing was changed." in said:
            assert fake.accepted == [], (nth, said)
        if getattr(fake, moment)[call]:
            assert nth > 0, f"{call} was not called"
            break
        for key, value in EDITS[edit].items():
            assert fake.configuration[key] == value, (nth, said)


@pytest.mark.parametrize(
    ("call", "is_refused"),
    [("update_function_configuration", False), ("update_function_code", True)],
)
def test_whether_a_request_that_arrives_late_is_refused_is_said(
    call: str, *, is_refused: bool
) -> None:
    """What was taken back has a newer revision; where nothing was, it can still be carried out."""
    fake = FakeLambda.holding(OLD)
    lost = ReadTimeoutError(endpoint_url="https://lambda.eu-west-1.amazonaws.com")
    fake.before[call] = [lost]
    with refused("CI-Greeter", Unanswered):
        deploy_to(fake)
    late = dict(fake.calls)[call]
    assert (late["RevisionId"] != fake.configuration["RevisionId"]) is is_refused
