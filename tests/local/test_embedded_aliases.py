"""Aliases in the embedded AWS: what hangs on one follows it, as a deploy and a rollback move it."""

from __future__ import annotations

import dataclasses
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pipeline.deploy.aws_session import Connection
from pipeline.local.state import LocalAws
from pipeline.project.project import Environment
from pipeline.verbs.rollback import rollback
from pipeline.verbs.status import status
from pipeline.verbs.versions import prune
from pipeline.verbs.which_function import Place

from tests.local.local_support import APP, MINOR, Seen, client, eventually, messages, zipped
from tests.repositories import Render

Create = Callable[..., str]
NAME = "CI-Example"
PRINTS = zipped({"app.py": APP})
# How v0.4.4 wrote the lines that now name the alias.
OLD_LINES = (
    ("FunctionName: !Ref Live", "FunctionName: !GetAtt Function.Arn"),
    ("Function: !Ref Live", "Function: !GetAtt Function.Arn"),
    ("Value: !Ref Live", "Value: none"),
)


@pytest.fixture
def there(aws: LocalAws) -> Iterator[LocalAws]:
    """Return the embedded AWS in a region of its own, without stacks."""
    there = dataclasses.replace(aws, region="ap-southeast-2")
    yield there
    cloudformation = client(there, "cloudformation")
    for stack in cloudformation.describe_stacks()["Stacks"]:
        cloudformation.delete_stack(StackName=stack["StackName"])


def stack_of(render_function: Render, kind: str = "s3-event") -> str:
    """Return the stack of a repository of this kind, for this machine's Python."""
    repository = render_function(function_kind=kind)
    text = (repository / "environment" / "stack.yaml").read_text(encoding="utf-8")
    return re.sub(r'"python3\.\d+"', f'"python{MINOR}"', text)


def old(stack: str) -> str:
    """Return a stack as v0.4.4 made it: no alias, everything on the function."""
    for new, before in OLD_LINES:
        assert new in stack
        stack = stack.replace(new, before)
    return re.sub(r"  Live:\n.*?\n\n.*?  Retries:\n.*?\n\n", "", stack, flags=re.DOTALL)


def made(there: LocalAws, body: str) -> str:
    """Make the stack, or update it, and return its bucket."""
    cloudformation = client(there, "cloudformation")
    names = [stack["StackName"] for stack in cloudformation.describe_stacks()["Stacks"]]
    put = cloudformation.update_stack if NAME in names else cloudformation.create_stack
    parameters = [{"ParameterKey": "FunctionName", "ParameterValue": NAME}]
    put(StackName=NAME, TemplateBody=body, Parameters=parameters)
    (stack,) = cloudformation.describe_stacks(StackName=NAME)["Stacks"]
    return next(str(o["OutputValue"]) for o in stack["Outputs"] if o["OutputKey"] == "BucketName")


def deployed(lambdas: Any, name: str, code: bytes) -> str:
    """Do what a deploy does: code, a version, the alias on it; return the version."""
    lambdas.update_function_configuration(FunctionName=name, Handler="app.handle")
    lambdas.update_function_code(FunctionName=name, ZipFile=code)
    version: str = lambdas.publish_version(FunctionName=name)["Version"]
    lambdas.update_alias(FunctionName=name, Name="live", FunctionVersion=version)
    return version


def versions_run(aws: LocalAws, name: str) -> list[str]:
    """Return the versions that the function's log says ran, in order."""
    logs = client(aws, "logs")
    try:
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    except ClientError:
        return []
    events.sort(key=lambda event: event["timestamp"])  # moto lists stream by stream
    starts = [event["message"] for event in events if event["message"].startswith("START ")]
    return [start.rpartition("Version: ")[2].strip() for start in starts]


def test_an_object_runs_the_version_that_live_leads_to(
    there: LocalAws, render_function: Render
) -> None:
    """The generated stack's bucket calls what a deploy put live, and after a rollback what it had.

    The alias stays there when the stack is updated, and goes with the stack.
    """
    lambdas, s3 = client(there, "lambda"), client(there, "s3")
    body = stack_of(render_function)
    bucket = made(there, body)
    assert lambdas.get_alias(FunctionName=NAME, Name="live")["FunctionVersion"] == "$LATEST"
    says = "import os\ndef handle(event, context):\n"
    says += "    print('ARN', context.invoked_function_arn)\n"
    says += "    print('OWN', os.environ['AWS_LAMBDA_FUNCTION_VERSION'], {})\n"
    first = deployed(lambdas, NAME, zipped({"app.py": says.format("'one'")}))
    second_code = zipped({"app.py": says.format("'two'")})
    seen: list[str] = []

    def put() -> list[str]:
        s3.put_object(Bucket=bucket, Key="one.log", Body=b"x")
        eventually(lambda: len(versions_run(there, NAME)) > len(seen))
        seen[:] = versions_run(there, NAME)
        return seen

    assert put() == ["1"]
    second = deployed(lambdas, NAME, second_code)
    assert put() == ["1", "2"]
    lambdas.update_alias(FunctionName=NAME, Name="live", FunctionVersion=first)
    made(there, body.replace("Timeout: !Ref Timeout", "Timeout: 77"))
    assert lambdas.get_function_configuration(FunctionName=NAME)["Timeout"] == 77
    assert put() == ["1", "2", "1"]
    own = sorted(line.split()[1:] for line in messages(there, f"/aws/lambda/{NAME}", "OWN"))
    assert own == [["1", "one"], ["1", "one"], [second, "two"]]
    arns = {line.split()[1] for line in messages(there, f"/aws/lambda/{NAME}", "ARN")}
    assert [arn.split(":")[-2:] for arn in arns] == [[NAME, "live"]]
    # As CloudFormation does: whoever edits the alias's own lines sets all of it.
    made(there, body.replace("      Name: live\n", "      Name: live\n      Description: ours\n"))
    assert lambdas.get_alias(FunctionName=NAME, Name="live")["FunctionVersion"] == "$LATEST"
    client(there, "cloudformation").delete_stack(StackName=NAME)
    with pytest.raises(ClientError, match="Function not found"):
        lambdas.get_alias(FunctionName=NAME, Name="live")


def test_moving_a_stack_to_the_alias_loses_no_event(
    there: LocalAws, render_function: Render
) -> None:
    """The patch of an older stack is applied while objects arrive: each runs once."""
    lambdas, s3 = client(there, "lambda"), client(there, "s3")
    body = stack_of(render_function, "elb-logs")
    bucket = made(there, old(body))
    lambdas.update_function_configuration(FunctionName=NAME, Handler="app.handle")
    lambdas.update_function_code(FunctionName=NAME, ZipFile=PRINTS)
    policy = json.loads(lambdas.get_policy(FunctionName=NAME)["Policy"])
    assert len(policy["Statement"]) == 1
    done = threading.Event()
    count = 0

    def put() -> None:
        nonlocal count
        while not done.is_set():
            s3.put_object(Bucket=bucket, Key=f"{count}.log", Body=b"x")
            count += 1

    putting = threading.Thread(target=put)
    putting.start()
    eventually(lambda: count > 3)
    made(there, body)
    after = count
    eventually(lambda: count > after + 3)
    done.set()
    putting.join()
    reports = eventually(lambda: len(versions_run(there, NAME)) >= count and count)
    assert len(versions_run(there, NAME)) == reports
    (statement,) = json.loads(lambdas.get_policy(FunctionName=NAME, Qualifier="live")["Policy"])[
        "Statement"
    ]
    assert statement["Resource"].endswith(f":function:{NAME}:live")
    with pytest.raises(ClientError, match="does not exist"):
        lambdas.get_policy(FunctionName=NAME)
    (retries,) = lambdas.list_function_event_invoke_configs(FunctionName=NAME)[
        "FunctionEventInvokeConfigs"
    ]
    assert (retries["FunctionArn"].rpartition(":")[2], retries["MaximumRetryAttempts"]) == (
        "live",
        2,
    )


def test_every_source_reaches_what_its_alias_leads_to(
    aws: LocalAws, lambdas: Any, create: Create
) -> None:
    """SNS, a queue, a rule, a log subscription and callers run the alias's version, not $LATEST."""
    name = create()
    lambdas.publish_version(FunctionName=name)
    arn = lambdas.create_alias(FunctionName=name, Name="live", FunctionVersion="1")["AliasArn"]
    lambdas.update_function_code(FunctionName=name, ZipFile=zipped({"app.py": "never called"}))
    unique = str(uuid.uuid4())

    sns = client(aws, "sns")
    topic = sns.create_topic(Name=unique)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)
    sns.publish(TopicArn=topic, Message="x")

    sqs = client(aws, "sqs")
    url = sqs.create_queue(QueueName=unique, Attributes={"VisibilityTimeout": "60"})["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    source = {"EventSourceArn": queue["QueueArn"]}
    mapping = lambdas.create_event_source_mapping(**source, FunctionName=name)["UUID"]
    moved = lambdas.update_event_source_mapping(UUID=mapping, FunctionName=f"{name}:live")
    assert moved["FunctionArn"] == arn
    listed = lambdas.list_event_source_mappings
    assert listed(FunctionName=name)["EventSourceMappings"] == []
    assert [one["UUID"] for one in listed(FunctionName=arn)["EventSourceMappings"]] == [mapping]
    sqs.send_message(QueueUrl=url, MessageBody="x")
    eventually(lambda: len(versions_run(aws, name)) == 2)
    lambdas.delete_event_source_mapping(UUID=mapping)
    sqs.send_message(QueueUrl=url, MessageBody="nobody takes this one")
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"].startswith("nobody")

    events = client(aws, "events")
    events.put_rule(Name=unique, EventPattern=json.dumps({"source": [unique]}))
    events.put_targets(Rule=unique, Targets=[{"Id": "1", "Arn": arn}])
    put = {"Source": unique, "DetailType": "test", "Detail": "{}"}
    events.put_events(Entries=[put, {**put, "Source": "another"}])

    logs = client(aws, "logs")
    logs.create_log_group(logGroupName=unique)
    logs.create_log_stream(logGroupName=unique, logStreamName="one")
    filter_ = {"logGroupName": unique, "filterName": "all", "filterPattern": ""}
    logs.put_subscription_filter(**filter_, destinationArn=arn)
    line = {"timestamp": 1_700_000_000_000, "message": "x"}
    logs.put_log_events(logGroupName=unique, logStreamName="one", logEvents=[line])

    for request in (
        {"FunctionName": name, "Qualifier": "live"},
        {"FunctionName": f"{name}:live"},
        {"FunctionName": arn},
    ):
        answer = lambdas.invoke(**request, Payload=b'{"do":"context"}')
        assert json.loads(answer["Payload"].read())[1:] == [arn, "1"]
    eventually(lambda: len(versions_run(aws, name)) >= 7)
    assert versions_run(aws, name) == ["1"] * 7


def test_an_alias_has_its_own_retry_settings(aws: LocalAws, lambdas: Any, create: Create) -> None:
    """Those of `live` hold for its events whatever the function's are, and stay when it moves."""
    name = create()
    lambdas.publish_version(FunctionName=name)
    lambdas.create_alias(FunctionName=name, Name="live", FunctionVersion="$LATEST")
    live = {"FunctionName": name, "Qualifier": "live"}
    lambdas.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=2)
    lambdas.put_function_event_invoke_config(
        **live, MaximumRetryAttempts=2, MaximumEventAgeInSeconds=60
    )
    lambdas.update_function_event_invoke_config(**live, MaximumRetryAttempts=0)
    lambdas.update_alias(FunctionName=name, Name="live", FunctionVersion="1")
    config = lambdas.get_function_event_invoke_config(**live)
    assert (config["MaximumRetryAttempts"], config["MaximumEventAgeInSeconds"]) == (0, 60)
    lambdas.invoke(**live, InvocationType="Event", Payload=b'{"do":"raise"}')
    lambdas.invoke(FunctionName=name, InvocationType="Event", Payload=b'{"do":"raise"}')
    eventually(lambda: len(versions_run(aws, name)) == 4)
    assert versions_run(aws, name).count("1") == 1
    listed = lambdas.list_function_event_invoke_configs(FunctionName=name)
    assert len(listed["FunctionEventInvokeConfigs"]) == 2
    lambdas.delete_function_event_invoke_config(**live)
    with pytest.raises(ClientError, match="doesn't have an EventInvokeConfig"):
        lambdas.get_function_event_invoke_config(**live)
    assert lambdas.get_function_event_invoke_config(FunctionName=name)["MaximumRetryAttempts"] == 2


def test_permissions_belong_to_what_they_were_given_on(lambdas: Any, create: Create) -> None:
    """A permission on the alias is in its policy and nowhere else; its id is there once."""
    name = create()
    lambdas.publish_version(FunctionName=name)
    arn = lambdas.create_alias(FunctionName=name, Name="live", FunctionVersion="1")["AliasArn"]
    live = {"FunctionName": name, "Qualifier": "live"}
    statement = {"StatementId": "s3", "Action": "lambda:InvokeFunction", "Principal": "s3.aws.com"}
    lambdas.add_permission(**live, **statement)
    (stored,) = json.loads(lambdas.get_policy(**live)["Policy"])["Statement"]
    assert stored["Resource"] == arn
    for other in ({"FunctionName": name}, {"FunctionName": name, "Qualifier": "1"}):
        with pytest.raises(ClientError, match="does not exist"):
            lambdas.get_policy(**other)
    with pytest.raises(ClientError, match=r"statement id \(s3\) provided already exists"):
        lambdas.add_permission(**live, **statement)
    lambdas.add_permission(FunctionName=name, **statement)
    lambdas.remove_permission(**live, StatementId="s3")
    with pytest.raises(ClientError, match="does not exist"):
        lambdas.get_policy(**live)
    assert '"Sid": "s3"' in lambdas.get_policy(FunctionName=name)["Policy"]


def test_a_weight_decides_what_runs(lambdas: Any, create: Create) -> None:
    """All calls at weight 1 run the other version, none at 0; GetFunction still names the first."""
    name = create()
    lambdas.publish_version(FunctionName=name)
    lambdas.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    lambdas.update_function_configuration(FunctionName=name, Timeout=50)
    lambdas.publish_version(FunctionName=name)
    live = {"FunctionName": name, "Qualifier": "live"}
    for share, runs in (({"2": 1.0}, "2"), ({"2": 0.0}, "1"), ({}, "1")):
        weights = {"AdditionalVersionWeights": share}
        lambdas.update_alias(FunctionName=name, Name="live", RoutingConfig=weights)
        assert {lambdas.invoke(**live)["ExecutedVersion"] for _ in range(5)} == {runs}
        assert lambdas.get_function_configuration(**live)["Version"] == "1"


def test_a_release_is_taken_back_and_old_ones_go(lambdas: Any, create: Create) -> None:
    """In the embedded AWS as in AWS; the version that serves then is the earlier one."""
    name = create()
    for number in range(1, 5):
        text = f"2.0.{number} 3f2c1ab00000: Prints"
        lambdas.update_function_configuration(FunctionName=name, Description=text)
        lambdas.publish_version(FunctionName=name)
    lambdas.create_alias(FunctionName=name, Name="live", FunctionVersion="4")
    there = Connection(lambdas, lambda _: None)
    place, seen = Place(Environment("local"), name, there), Seen()
    done = prune(place, 1, seen.reporter, dry_run=False)
    assert [one.number for one in done.removed] == [1, 2]
    back = rollback(place, "", "wrong totals", datetime(2026, 11, 26, tzinfo=UTC), seen.reporter)
    assert (back.version, back.function_version) == ("2.0.3", "3")
    answer = lambdas.invoke(FunctionName=name, Qualifier="live", Payload=b"{}")
    assert answer["ExecutedVersion"] == "3"
    found = status(place)
    assert found.deployed == "2026-11-26 00:00 UTC, rolled back from 2.0.4: wrong totals"
    assert (found.waiting, found.drift) == (("2.0.4 was taken back",), ())
