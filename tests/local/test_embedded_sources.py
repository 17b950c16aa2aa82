"""Queues and rules of EventBridge invoke functions, and what is not served is named."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pipeline.local.state import LocalAws

from tests.local.local_support import client, eventually, messages, zipped

Create = Callable[..., str]
# Says what it got; of a message `bad` that it failed, of `worse` by failing itself.
CODE = """
import json

def handle(event, context):
    print(json.dumps(event))
    bodies = {record["messageId"]: record["body"] for record in event.get("Records", [])}
    if "worse" in bodies.values():
        raise ValueError("worse")
    failed = [{"itemIdentifier": one} for one, body in bodies.items() if body == "bad"]
    return {"batchItemFailures": failed}
"""


def received(aws: LocalAws, name: str) -> list[Any]:
    """Return the events that a function got."""
    return [json.loads(text) for text in messages(aws, f"/aws/lambda/{name}", "{")]


def bodies(aws: LocalAws, name: str) -> list[str]:
    """Return the bodies of the messages that a function got."""
    return [record["body"] for event in received(aws, name) for record in event["Records"]]


def again(aws: LocalAws, url: str, record: Any) -> None:
    """Let a message come again now, as it would after the queue's visibility timeout."""
    handle = record["receiptHandle"]
    client(aws, "sqs").change_message_visibility(
        QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0
    )


def queue(aws: LocalAws, seconds: int, **attributes: str) -> tuple[str, str]:
    """Make a queue; return its address and ARN."""
    sqs = client(aws, "sqs")
    given = {"VisibilityTimeout": str(seconds), **attributes}
    url = sqs.create_queue(QueueName=f"queue-{uuid.uuid4()}", Attributes=given)["QueueUrl"]
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, answer["Attributes"]["QueueArn"]


def test_a_queue_sends_batches_and_what_failed_comes_again(
    aws: LocalAws, lambdas: Any, create: Create
) -> None:
    """A batch is one event; a failed message is tried again, then given up as a dead letter."""
    sqs = client(aws, "sqs")
    dead, dead_arn = queue(aws, 30)
    policy = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 2})
    url, arn = queue(aws, 600, RedrivePolicy=policy)
    name = create(code=zipped({"app.py": CODE}))
    lambdas.publish_version(FunctionName=name)
    alias = lambdas.create_alias(FunctionName=name, Name="live", FunctionVersion="1")["AliasArn"]
    attributes = {
        "Kind": {"DataType": "String", "StringValue": "a"},
        "Raw": {"DataType": "Binary", "BinaryValue": b"\0\1"},
    }
    for body in ("good", "bad"):
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes)
    mapping = lambdas.create_event_source_mapping(
        EventSourceArn=arn,
        FunctionName=alias,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    (first,) = eventually(lambda: received(aws, name))
    again(aws, url, first["Records"][1])
    _, second = eventually(lambda: received(aws, name)[1:] and received(aws, name))
    again(aws, url, second["Records"][0])
    letter = eventually(lambda: sqs.receive_message(QueueUrl=dead).get("Messages"))[0]
    assert letter["Body"] == "bad"
    assert bodies(aws, name) == ["good", "bad", "bad"]
    record = first["Records"][0]
    assert (record["eventSource"], record["eventSourceARN"]) == ("aws:sqs", arn)
    assert record["messageAttributes"]["Kind"]["stringValue"] == "a"
    assert record["messageAttributes"]["Raw"]["binaryValue"] == "AAE="
    assert second["Records"][0]["attributes"]["ApproximateReceiveCount"] == "2"
    assert messages(aws, f"/aws/lambda/{name}", "Version: 1")
    lambdas.delete_event_source_mapping(UUID=mapping["UUID"])
    sqs.send_message(QueueUrl=url, MessageBody="late")
    assert sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)["Messages"][0]["Body"] == "late"


def test_a_function_that_fails_gets_the_whole_batch_again(
    aws: LocalAws, lambdas: Any, create: Create
) -> None:
    """Without a report of its own all of a failed batch comes again; filters drop the others."""
    sqs = client(aws, "sqs")
    url, arn = queue(aws, 600)
    name = create(code=zipped({"app.py": CODE}))
    for body in ('{"kind": "other"}', "worse", "good"):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    pattern = json.dumps({"body": ["worse", "good"]})
    mapping = lambdas.create_event_source_mapping(
        EventSourceArn=arn, FunctionName=name, FilterCriteria={"Filters": [{"Pattern": pattern}]}
    )
    (event,) = eventually(lambda: received(aws, name))
    for record in event["Records"]:
        again(aws, url, record)
    eventually(lambda: len(bodies(aws, name)) > 3)
    assert sorted(bodies(aws, name)) == ["good", "good", "worse", "worse"]
    lambdas.delete_event_source_mapping(UUID=mapping["UUID"])


def test_a_queue_that_is_too_impatient_is_refused(
    aws: LocalAws, lambdas: Any, create: Create
) -> None:
    """Messages that come again while the function still works on them: AWS refuses the mapping."""
    _, arn = queue(aws, 1)
    with pytest.raises(ClientError, match="1 seconds is less than Function timeout: 60 seconds"):
        lambdas.create_event_source_mapping(EventSourceArn=arn, FunctionName=create())


def test_a_rule_sends_the_events_that_fit(aws: LocalAws, lambdas: Any, create: Create) -> None:
    """A rule leads to a function: the event, a part, a template or a constant; no schedule does."""
    events = client(aws, "events")
    name = create(code=zipped({"app.py": CODE}))
    arn = lambdas.get_function_configuration(FunctionName=name)["FunctionArn"]
    source = f"source.{uuid.uuid4()}"
    template = {
        "InputPathsMap": {"a": "$.detail.a"},
        "InputTemplate": '{"it": "is <a>", "of": <a>}',
    }
    inputs: list[Any] = [
        {},
        {"InputPath": "$.detail"},
        {"InputTransformer": template},
        {"Input": '{"b": 1}'},
    ]
    rule = {"EventPattern": json.dumps({"source": [source]})}
    for number, settings in enumerate([rule, {"ScheduleExpression": "rate(1 minute)"}]):
        events.put_rule(Name=f"{source}-{number}", **settings)
        targets = [{"Id": str(at), "Arn": arn, **given} for at, given in enumerate(inputs)]
        events.put_targets(Rule=f"{source}-{number}", Targets=targets)
    entry = {"DetailType": "made", "Detail": '{"a": "x"}'}
    for sender in ("somebody.else", source):
        events.put_events(Entries=[{**entry, "Source": sender}])
    got = eventually(lambda: len(received(aws, name)) > 3 and received(aws, name))
    (whole,) = [event for event in got if "source" in event]
    assert (whole["source"], whole["detail-type"], whole["detail"]) == (source, "made", {"a": "x"})
    assert whole["time"].endswith("Z")
    others = [json.dumps(event) for event in got if event is not whole]
    assert sorted(others) == ['{"a": "x"}', '{"b": 1}', '{"it": "is x", "of": "x"}']
