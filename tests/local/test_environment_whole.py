"""env.create and env.delete as a whole, with a fault at each of their calls."""

from __future__ import annotations

import itertools
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import NoReturn

import pytest
from pipeline.core.errors import PipelineError
from pipeline.deploy.aws_errors import Missing
from pipeline.deploy.aws_session import Connection
from pipeline.package.contents import Package
from pipeline.runtime.function_code import LocalRuntime
from pipeline.stack.change_set import Stacks, tags_of
from pipeline.stack.removal import Removal, remove_stack, stop_sources
from pipeline.verbs.env_place import StackOptions
from pipeline.verbs.env_stack import delete_stack
from pipeline.verbs.logs import LogOptions, function_log
from pipeline.verbs.status import status

from tests.local.made_environments import RETAINED, Whole, whole
from tests.project.values_support import NOON
from tests.standins.faults import Fault, Faults, lost, meanwhile, unsent
from tests.words import refused


@pytest.fixture(scope="module")
def there(
    tmp_path_factory: pytest.TempPathFactory, runtimes: dict[str, LocalRuntime]
) -> Iterator[Whole]:
    """Return both sides for all of these tests; each has environments of its own."""
    with whole(tmp_path_factory.mktemp("whole"), runtimes) as found:
        yield found


def test_an_environment_is_made_used_and_gone(there: Whole) -> None:
    """Octopus, stack, release, and a file that goes the whole way; afterwards nothing is left."""
    there.create("one")
    assert there.served("one") == ("2.0.7", 256, "hello")
    assert there.seen.finished()[-1] == "incoming/one.log: 2.0.7 incoming/one.log (version 1)"
    assert len(there.leftovers("one")) > 8
    assert there.delete("one") == []
    assert there.leftovers("one") == []


def fault_of(faults: Faults, number: int) -> Fault:
    """Return one of the three kinds: refused, done without an answer, never arrived."""
    return (faults.refusal(403, "AccessDeniedException", "not today"), lost, unsent)[number % 3]


def at_each_call(
    there: Whole, side: str, run: Callable[[str], object], prepare: Callable[[str], object]
) -> Counter[str]:
    """Run with a fault at another call each time, then again without; count what came of it."""
    faults: Faults = getattr(there, f"{side}_faults")
    found: Counter[str] = Counter()
    name = ""
    for number in itertools.count():
        name = f"{side}{number}"
        prepare(name)
        faults.forget()
        faults.at[number] = fault_of(faults, number)
        try:
            run(name)
        except PipelineError:
            found["refused"] += 1
        if faults.at:
            break
        found["injected"] += 1
        faults.forget()
        run(name)
        found["converged"] += 1
        there.delete(name)
        found["leftovers"] += len(there.leftovers(name))
    faults.forget()
    there.delete(name)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("side", "calls"), [("aws", 40), ("octopus", 30)])
def test_after_a_fault_at_any_call_the_same_command_ends_it(
    there: Whole, side: str, calls: int
) -> None:
    """Each call of env.create fails once, in one of three ways."""
    found = at_each_call(there, side, there.create, lambda _: None)
    assert found["converged"] == found["injected"] >= calls
    assert found["leftovers"] == 0


@pytest.mark.slow
@pytest.mark.parametrize(("side", "calls"), [("aws", 40), ("octopus", 7)])
def test_after_a_fault_at_any_call_a_deletion_goes_on(there: Whole, side: str, calls: int) -> None:
    """Each call of env.delete fails once, in one of three ways."""
    found = at_each_call(there, side, there.delete, there.create)
    assert found["converged"] == found["injected"] >= calls
    assert found["leftovers"] == 0


def test_a_token_that_expires_in_the_middle_leaves_what_the_next_run_continues(
    there: Whole,
) -> None:
    """The undo needs it, too: what is left is said, and the first error is the one that counts."""
    there.aws_faults.forget()
    refusal = there.aws_faults.refusal(403, "ExpiredToken", "The security token is expired")
    there.aws_faults.at = dict.fromkeys(range(12, 200), refusal)
    with refused("env.create expired", PipelineError):
        there.create("expired")
    assert "env.delete expired" in there.seen.lines()[-1]
    assert "expired-Orders" in there.leftovers("expired")
    there.aws_faults.forget()
    there.create("expired")
    assert there.served("expired")[0] == "2.0.7"
    assert there.delete("expired") == []
    assert there.leftovers("expired") == []


def test_what_was_left_in_review_is_taken_up_and_taken_away(there: Whole) -> None:
    """A run was killed between change set and change: an empty stack has the name."""

    def left_in_review() -> None:
        there.aws("cloudformation").create_change_set(
            StackName="review-Orders", ChangeSetName="pipeline-0", ChangeSetType="CREATE",
            TemplateBody=RETAINED, Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": "FunctionName", "ParameterValue": "review-Orders"}],
        )  # fmt: skip

    left_in_review()
    there.create("review")
    assert there.served("review")[0] == "2.0.7"
    assert there.delete("review") == []
    left_in_review()
    assert there.delete("review", like="CI") == []
    assert there.leftovers("review") == []


def test_status_and_logs_find_an_environment_that_is_not_declared(there: Whole) -> None:
    """In whose account it was made nobody has to say."""
    there.create("unnamed")
    place = there.asked(StackOptions("unnamed")).place()
    seen = status(place)
    assert (seen.environment, seen.release, seen.drift) == ("unnamed", "2.0.7", ())
    pages = function_log(place, LogOptions("1h"), datetime.now(UTC), there.seen.reporter, _never)
    assert any("2.0.7" in one.text for page in pages for one in page)
    assert there.delete("unnamed") == []
    with refused("environment", PipelineError):
        there.asked(StackOptions("unnamed")).place()


def _never(_: float) -> NoReturn:
    raise AssertionError


def test_a_stack_of_somebody_else_is_left_alone(there: Whole) -> None:
    """It has no tag, or another one: neither changed nor deleted, and Octopus gets nothing."""
    formation = there.aws("cloudformation")
    formation.create_stack(
        StackName="theirs-Orders",
        TemplateBody="Resources: {Queue: {Type: 'AWS::SQS::Queue'}}",
        Tags=[{"Key": "pipeline:service", "Value": "Acme.Others"}],
    )
    for verb in (there.create, partial(there.delete, like="CI")):
        with refused(None, PipelineError):
            verb("theirs")
    assert [one for one in there.leftovers("theirs") if one == "theirs"] == []
    (stack,) = formation.describe_stacks(StackName="theirs-Orders")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    formation.delete_stack(StackName="theirs-Orders")


def test_a_function_of_somebody_else_stays_when_its_name_is_taken(there: Whole) -> None:
    """The stack cannot be made then; undoing it touches neither their sources nor their log."""
    there.create("first")
    functions, formation = there.aws("lambda"), there.aws("cloudformation")
    group = {"logGroupName": "/aws/lambda/first-Orders"}
    there.aws("logs").put_retention_policy(**group, retentionInDays=7)
    name = "first-Orders"
    removal = Removal("first-Orders", there.aws, Stacks(formation, lambda _: None))
    found = replace(removal.inventory(), stack_id="", resources=(), buckets={}, is_ours=False)
    stop_sources(removal, found, there.seen.reporter)
    remove_stack(removal, found, there.seen.reporter)
    (source,) = [
        one
        for one in functions.list_event_source_mappings()["EventSourceMappings"]
        if name in one["FunctionArn"]
    ]
    assert source["State"] == "Enabled"
    assert there.aws("logs").describe_log_groups(logGroupNamePrefix=group["logGroupName"])[
        "logGroups"
    ]
    assert there.delete("first") == []


def test_a_bucket_that_is_written_to_meanwhile_goes_all_the_same(there: Whole) -> None:
    """A load balancer writes between the last look and the deletion: once more."""
    there.create("busy")
    bucket = "busy-Orders-123456789012-bucket"

    def write() -> None:
        there.aws("s3").put_object(Bucket=bucket, Key="late.log", Body=b"x")

    there.aws_faults.forget()
    there.aws_faults.script[f"DELETE /{bucket}"].append(meanwhile(write))
    assert there.delete("busy") == []
    assert there.leftovers("busy") == []


def test_two_creates_at_once_end_in_one_environment(there: Whole) -> None:
    """Whatever one of them is told, the same command again finds or makes the whole."""
    with ThreadPoolExecutor(2) as both:
        runs = [both.submit(there.create, "twice") for _ in range(2)]
    for run in runs:
        assert isinstance(run.exception(), PipelineError | None), run.exception()
    there.create("twice")
    assert there.served("twice") == ("2.0.7", 256, "hello")
    assert there.delete("twice") == []
    assert there.leftovers("twice") == []


def test_a_run_does_not_undo_what_another_one_made_meanwhile(there: Whole) -> None:
    """Both have a change set for the new stack: one is made, and the other run leaves it alone."""
    there.aws_faults.forget()
    there.aws_faults.script["ExecuteChangeSet"].append(meanwhile(lambda: there.create("race")))
    with refused("env.create race", Missing, {r"changeSet/\S+\]": "changeSet/ID]"}):
        there.create("race")
    assert there.served("race") == ("2.0.7", 256, "hello")
    assert "race" in there.leftovers("race")  # its place in Octopus
    assert there.delete("race") == []
    assert there.leftovers("race") == []


def test_it_is_like_the_one_that_it_names_in_place_settings_and_release(there: Whole) -> None:
    """CI runs an older release: the new one gets that, and remembers whose settings it has."""
    there.through_octopus = False
    there.memory = 512
    try:
        there.create("CI", like="")
        there.package("2.0.8")
        folder = there.folder / "build-output" / "2.0.7"
        folder.mkdir(parents=True)
        shutil.copy(there.package(), folder)
        there.create("likeness", package=None, expires=NOON)
        assert there.served("likeness") == ("2.0.7", 512, "hello")
        (stack,) = there.aws("cloudformation").describe_stacks(StackName="likeness-Orders")[
            "Stacks"
        ]
        tags = tags_of(stack)
        assert (tags["pipeline:like"], tags["pipeline:environment"]) == ("CI", "likeness")
        there.create("likeness", package=str(there.package("2.0.8")))
        assert there.served("likeness")[0] == "2.0.8"
        (stack,) = there.aws("cloudformation").describe_stacks(StackName="likeness-Orders")[
            "Stacks"
        ]
        assert tags_of(stack)["pipeline:expires"] == "2026-11-23T12:00Z"
        assert there.delete("likeness") == []
        there.through_octopus = True
        there.create("first")  # which makes the release
        shutil.rmtree(folder)
        there.create("likeness", package=None)
        assert there.served("likeness") == ("2.0.7", 512, "hello")
        assert [there.delete("first"), there.delete("likeness")] == [[], []]
        there.through_octopus = False
        with refused("env.create likeness", PipelineError):
            there.create("likeness", package=None)
        bucket = "CI-Orders-123456789012-bucket"
        there.aws("s3").put_object(Bucket=bucket, Key="kept.txt", Body=b"x")
        assert there.delete("CI", confirm="CI") == []
        assert there.aws("s3").head_object(Bucket=bucket, Key="kept.txt")
        notifications = there.aws("s3").get_bucket_notification_configuration(Bucket=bucket)
        assert "LambdaFunctionConfigurations" not in notifications
    finally:
        there.through_octopus, there.memory = True, 256


@pytest.mark.slow
@pytest.mark.parametrize("stack_first", [True, False])
def test_stack_and_deploys_never_undo_each_other(there: Whole, *, stack_first: bool) -> None:
    """Ten times in turn, each with a change: what the other one set is still there."""
    there.through_octopus = False
    name = f"turns-{stack_first}"
    try:
        there.create(name)
        for number in range(10):
            version = f"2.1.{number}"
            package = Package.open(there.package(version))

            def change_stack(number: int = number) -> None:
                there.memory = 512 + number
                # What the stack changes is published by the deploy that ends it.
                running = there.served(name)[0]
                there.create(name, package=str(there.package(running)))
                assert there.served(name) == (running, 512 + number, "hello")

            def deploy(package: Package = package) -> None:
                memory = there.served(name)[1]
                there.deploy(name, package)
                assert there.served(name) == (package.version, memory, "hello")

            for act in (change_stack, deploy) if stack_first else (deploy, change_stack):
                act()
        found = there.aws("lambda").get_function_configuration(FunctionName=f"{name}-Orders")
        assert found["Environment"]["Variables"] == {"OWNED": "by-the-stack", "GREETING": "hello"}
        assert found["Handler"] == "app.handle"
        there.delete(name)
    finally:
        there.through_octopus, there.memory = True, 256


def test_what_fails_is_named_and_undone_and_nobody_elses_bucket_is_touched(there: Whole) -> None:
    """The stack's bucket has a name that somebody has: theirs keeps what is in it."""
    s3, bucket = there.aws("s3"), "taken-Orders-123456789012-bucket"
    place = {"LocationConstraint": "eu-west-1"}
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
    s3.put_object(Bucket=bucket, Key="theirs.txt", Body=b"x")
    with refused("env.create taken", PipelineError):
        there.create("taken")
    assert s3.head_object(Bucket=bucket, Key="theirs.txt")
    assert there.leftovers("taken") == [bucket]  # and nothing in Octopus


def test_what_failed_may_be_kept(there: Whole) -> None:
    """The function cannot work: its log's words are the reason, and --keep-on-failure leaves it."""
    broken = there.package(
        "2.9.0", "def handle(event, context):\n    raise LookupError('no such thing')\n"
    )
    with refused("smoke kept-Orders", PipelineError):
        there.create("kept", package=str(broken), keep_on_failure=True)
    assert "kept-Orders" in there.leftovers("kept")
    there.create("kept")
    assert there.delete("kept") == []
    assert there.leftovers("kept") == []
    with refused("smoke kept-Orders", PipelineError):
        there.create("kept", package=str(broken))
    assert there.leftovers("kept") == []


def test_an_interrupted_run_is_continued_by_the_next(there: Whole) -> None:
    """Ctrl-C undoes nothing, as AWS goes on; what to do is said."""
    there.through_octopus = False

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt):
            there.create("stopped", means=replace(there.means, deploy=interrupt))
        assert "same command" in there.seen.lines()[-1]
        assert "stopped-Orders" in there.leftovers("stopped")
        there.create("stopped")
        assert there.served("stopped")[0] == "2.0.7"
        assert there.delete("stopped") == []
    finally:
        there.through_octopus = True


def test_a_dry_run_shows_both_halves_and_touches_none(there: Whole) -> None:
    """Before anything is made, and before anything goes."""
    assert there.create("dry", dry_run=True) == {}
    assert there.leftovers("dry") == []
    there.create("dry")
    before = there.leftovers("dry")
    there.seen.events.clear()
    assert there.delete("dry", dry_run=True) == []
    said = "\n".join(there.seen.lines())
    assert "goes  Bucket  AWS::S3::Bucket  dry-Orders-123456789012-bucket" in said
    assert "goes  what is below s3://deployments/dry/" in said
    assert "goes  in Octopus: machine dry-Orders" in said
    assert there.leftovers("dry") == before
    assert there.delete("dry") == []


def test_what_no_stack_knows_of_is_found_by_tag_name_and_policy(there: Whole) -> None:
    """A queue with its tags, a bucket of others that tells the function, an interface AWS holds."""
    there.create("audited")
    functions, s3, ec2 = there.aws("lambda"), there.aws("s3"), there.aws("ec2")
    tags = {"pipeline:service": "Acme.Orders", "pipeline:environment": "audited"}
    there.aws("sqs").create_queue(QueueName="by-hand", tags=tags)
    place = {"LocationConstraint": "eu-west-1"}
    s3.create_bucket(Bucket="of-others", CreateBucketConfiguration=place)
    functions.add_permission(
        FunctionName="audited-Orders", Qualifier="live", StatementId="others",
        Action="lambda:InvokeFunction", Principal="s3.amazonaws.com",
        SourceArn="arn:aws:s3:::of-others",
    )  # fmt: skip
    arn = functions.get_alias(FunctionName="audited-Orders", Name="live")["AliasArn"]
    theirs = {"QueueArn": "arn:aws:sqs:eu-west-1:123456789012:by-hand", "Events": ["s3:*"]}
    told = {
        "LambdaFunctionConfigurations": [
            {"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}
        ],
        "QueueConfigurations": [{**theirs, "Events": ["s3:ObjectRemoved:*"]}],
    }
    s3.put_bucket_notification_configuration(Bucket="of-others", NotificationConfiguration=told)
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    held = ec2.create_network_interface(
        SubnetId=subnet,
        Description="AWS Lambda VPC ENI-audited-Orders-0a1b2c3d-0000-4000-8000-0123456789ab",
    )["NetworkInterface"]["NetworkInterfaceId"]
    left = there.delete("audited")
    assert len(left) == 2, left
    assert "by-hand has the environment's tags" in left[0]
    assert f"network interface {held} is" in left[1]
    assert "20 to 45 minutes" in left[1]
    now = s3.get_bucket_notification_configuration(Bucket="of-others")
    assert "LambdaFunctionConfigurations" not in now
    assert len(now["QueueConfigurations"]) == 1
    ec2.delete_network_interface(NetworkInterfaceId=held)
    there.aws("sqs").delete_queue(
        QueueUrl=there.aws("sqs").get_queue_url(QueueName="by-hand")["QueueUrl"]
    )
    assert there.delete("audited") == []


def test_a_permanent_environment_stays_when_the_settings_do_not_name_it_any_more(
    there: Whole,
) -> None:
    """Its stack is protected: it is neither emptied nor taken for a temporary one."""
    there.through_octopus, there.permanent = False, "Lasting"
    try:
        there.create("Lasting", like="")
        s3, name = there.aws("s3"), "Lasting-Orders-123456789012-bucket"
        s3.put_object(Bucket=name, Key="of-users.log", Body=b"x")
        there.permanent = "Main"
        for run in (there.delete, partial(there.create, like="Main")):
            with refused(None, PipelineError):
                run("Lasting")
        assert s3.head_object(Bucket=name, Key="of-users.log")
        there.permanent = "Lasting"
        assert there.delete("Lasting", confirm="Lasting") == []
    finally:
        there.permanent, there.through_octopus = "CI", True


def test_a_first_permanent_stack_is_undone_although_it_is_protected(there: Whole) -> None:
    """What is deployed to it fails: nothing is in the way of the next run but what is retained."""

    def fail(*_: object) -> None:
        raise PipelineError("deploy", "refused", "")

    there.through_octopus, there.permanent = False, "Main"
    try:
        with refused("deploy", PipelineError):
            there.create("Main", like="", means=replace(there.means, deploy=fail))
    finally:
        there.through_octopus, there.permanent = True, "CI"
    assert there.leftovers("Main") == ["Main-Orders-123456789012-bucket"]


def test_another_spelling_is_the_same_environment(there: Whole) -> None:
    """Octopus takes any case for it, and AWS would have a second one."""
    there.create("spelt")
    for run in (there.create, there.delete, partial(there.delete, like="CI")):
        with refused(None, PipelineError):
            run("Spelt")
    there.through_octopus = False
    with refused("env.create Spelt", PipelineError):
        there.create("Spelt")
    there.through_octopus = True
    assert there.served("spelt")[0] == "2.0.7"
    there.aws("cloudformation").delete_stack(StackName="spelt-Orders")
    with refused("env.create Spelt", PipelineError):
        there.create("Spelt")
    assert there.delete("spelt") == []


def test_an_update_that_did_not_begin_leaves_no_change_in_review(there: Whole) -> None:
    """What the next person sees in CloudFormation is what runs."""
    there.through_octopus = False
    try:
        there.create("undone")
        there.memory = 512
        there.aws_faults.forget()
        refusal = there.aws_faults.refusal(403, "AccessDenied", "not today")
        there.aws_faults.script["ExecuteChangeSet"].append(refusal)
        with refused("env.create undone", PipelineError):
            there.create("undone")
        found = there.aws("cloudformation").list_change_sets(StackName="undone-Orders")
        mine = [one for one in found["Summaries"] if one["StackName"] == "undone-Orders"]
        assert [one for one in mine if one["ExecutionStatus"] == "AVAILABLE"] == []
        assert there.served("undone")[1] == 256
        assert there.delete("undone") == []
    finally:
        there.through_octopus, there.memory = True, 256


def test_nothing_is_said_to_be_gone_from_an_aws_that_was_not_read(there: Whole) -> None:
    """Without a way into CI's account its stack may still be there."""
    there.through_octopus = False

    def refuse(*_: object) -> Connection:
        raise PipelineError("AWS", "there are no credentials", "")

    delete_stack(there.asked(StackOptions("nowhere"), replace(there.means, connect=refuse)))
    there.through_octopus = True
    assert "not looked for in AWS of CI" in there.seen.lines()[-1]
    assert there.seen.finished()[-1] == "nothing is left in AWS, where it was read"


def test_a_broken_stack_is_told_before_a_package_is_looked_for(there: Whole) -> None:
    """Building one takes longer than the linter does, and no AWS is needed for either."""

    def refuse(*_: object) -> Connection:
        raise PipelineError("environment/stack.yaml", "CloudFormation would refuse it", "")

    means = replace(there.means, check=refuse)
    with refused("environment/stack.yaml", PipelineError):
        there.create("broken", means=means, package="not-there.nupkg")
