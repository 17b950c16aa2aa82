"""Queues and rules of EventBridge invoke functions, and what is not served is named."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from pipeline.edge.machine import Machine
from pipeline.local import clients
from pipeline.local.background import Background
from pipeline.local.moto_sources import to_come_again
from pipeline.local.state import LocalAws, write_state
from pipeline.project.project import Project
from pipeline.runtime.function_code import LocalRuntime
from pipeline.runtime.invocation import Figures, Invocation
from pipeline.verbs.local import next_step, start_local, state_file
from pipeline.verbs.local_use import put_local

from tests.local.local_support import MINOR, Seen, client, eventually, messages, written, zipped
from tests.repositories import Render

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
    name = f"queue-{uuid.uuid4()}" + (".fifo" if "FifoQueue" in given else "")
    url = sqs.create_queue(QueueName=name, Attributes=given)["QueueUrl"]
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, answer["Attributes"]["QueueArn"]


def hidden(aws: LocalAws, url: str) -> int:
    """Return how many messages of a queue somebody has taken and not yet done."""
    wanted = "ApproximateNumberOfMessagesNotVisible"
    answer = client(aws, "sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[wanted])
    return int(answer["Attributes"][wanted])


def test_the_queues_kind_handles_messages_and_gives_up_on_poison(
    aws: LocalAws,
    machine: Machine,
    runtimes: dict[str, LocalRuntime],
    render_function: Render,
    tmp_path: Path,
) -> None:
    """Its stack and its function, whole: a file is sent, what `live` leads to handles it.

    What fails comes again after the visibility timeout and ends as a dead letter; nothing is left
    when the stack is deleted.
    """
    repository = render_function(function_kind="sqs-queue")
    stack = (repository / "environment" / "stack.yaml").read_text(encoding="utf-8")
    for name, value in {"BatchWindow": 0, "MaximumReceives": 2}.items():
        stack = re.sub(rf"(  {name}:\n    Type: Number\n    Default:) \d+", rf"\1 {value}", stack)
    stack = re.sub(r'"python3\.\d+"', f'"python{MINOR}"', stack)
    written(tmp_path, {"environment/stack.yaml": stack, "good": '{"a": 1}', "bad": "poison"})
    there = replace(aws, region="ap-northeast-1")
    state_file(tmp_path).parent.mkdir(parents=True)
    write_state(state_file(tmp_path), there)
    project, seen = replace(Project.load(repository), root=tmp_path), Seen()
    tools = Background(state_file(tmp_path), runtimes, {}, there.region, settle=0)
    started = start_local(project, tools, seen.reporter)
    assert not [line for line in seen.lines() if "embedded AWS has no" in line]
    assert "local.put FILE` sends it a message" in next_step(tmp_path, started)
    lambdas, sqs = client(there, "lambda"), client(there, "sqs")
    handler, url = project.function.handler.rpartition(".")[0], started.outputs["QueueUrl"]
    assert url.startswith(f"{aws.endpoint}/"), "there are clients that send to its host"
    code = {
        path.relative_to(repository / "src").as_posix(): path.read_text(encoding="utf-8")
        for path in (repository / "src").glob("*/*.py")
    }
    code["app.py"] = f"""
import json
from {handler} import handle as handle_it

def handle(event, context):
    print(json.dumps(event))
    return handle_it(event, context)
"""
    lambdas.update_function_configuration(FunctionName=started.stack, Handler="app.handle")
    lambdas.update_function_code(FunctionName=started.stack, ZipFile=zipped(code))
    lambdas.publish_version(FunctionName=started.stack)
    lambdas.update_alias(FunctionName=started.stack, Name="live", FunctionVersion="1")
    at_home = replace(machine, root=tmp_path)
    good = put_local(project, tmp_path / "good", "", at_home, seen.reporter)["message"]
    bad = put_local(project, tmp_path / "bad", "", at_home, seen.reporter)["message"]
    group = f"/aws/lambda/{started.stack}"

    def lines(message: str) -> list[dict[str, Any]]:
        log = map(json.loads, messages(there, group, '"outcome"'))
        return [line for line in log if line["message"] == message]

    for count in (1, 2):
        eventually(lambda: len(lines(bad)) == count)  # noqa: B023 - called at once
        events = [json.loads(text) for text in messages(there, group, '"Records"')]
        records = [record for event in events for record in event["Records"]]
        again(there, url, [record for record in records if record["messageId"] == bad][-1])
    dead = started.outputs["DeadLettersUrl"]
    (letter,) = eventually(lambda: sqs.receive_message(QueueUrl=dead).get("Messages"))
    assert letter["Body"] == "poison"
    eventually(lambda: hidden(there, url) == 0)
    told = [(line["outcome"], line["receives"]) for line in lines(good) + lines(bad)]
    assert told == [("handled", 1), ("failed", 1), ("failed", 2)]
    assert not messages(there, group, "$LATEST")
    wanted = {"AttributeNames": ["All"], "QueueUrl": url}
    assert "OnlyOverTls" in sqs.get_queue_attributes(**wanted)["Attributes"]["Policy"]
    more = stack.replace(": 345600", ": 600").replace("Default: 10\n", "Default: 9\n")
    written(tmp_path, {"environment/stack.yaml": more})
    start_local(project, tools, seen.reporter)
    changed = sqs.get_queue_attributes(**wanted)["Attributes"]
    assert changed["MessageRetentionPeriod"] == "600"
    assert "OnlyOverTls" in changed["Policy"]
    (source,) = lambdas.list_event_source_mappings()["EventSourceMappings"]
    assert source["BatchSize"] == 9, "a default that changes is another value"
    assert lambdas.get_alias(FunctionName=started.stack, Name="live")["FunctionVersion"] == "1"
    client(there, "cloudformation").delete_stack(StackName=started.stack)
    assert not lambdas.list_event_source_mappings()["EventSourceMappings"]
    assert not sqs.list_queues().get("QueueUrls")


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
    what = {"QueueUrl": url, "MessageAttributes": attributes}
    sent = sqs.send_message(MessageBody="good", **what)
    sqs.send_message(MessageBody="bad", **what)
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
    assert record["md5OfBody"] == sent["MD5OfMessageBody"]
    assert record["md5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
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


def test_batches_are_gathered_and_as_many_run_at_once_as_the_mapping_says(
    aws: LocalAws, lambdas: Any, create: Create, tmp_path: Path
) -> None:
    """A batch ends at its size, at its window and below 6 MB; the next waits for a free place."""
    sqs = client(aws, "sqs")
    url, arn = queue(aws, 600)
    code = """
import os, time

def handle(event, context):
    bodies = [record["body"][:5] for record in event["Records"]]
    name = os.path.join(HERE, f"{time.time_ns()} {len(bodies)}")
    open(name, "w").close()
    while "wait" in bodies and not os.path.exists(os.path.join(HERE, "go")):
        time.sleep(0.01)
"""
    name = create(code=zipped({"app.py": f"HERE = {str(tmp_path)!r}\n{code}"}))
    mapping = lambdas.create_event_source_mapping(
        EventSourceArn=arn,
        FunctionName=name,
        BatchSize=2,
        MaximumBatchingWindowInSeconds=300,
        ScalingConfig={"MaximumConcurrency": 2},
    )["UUID"]

    def sizes() -> list[int]:
        begun = sorted(path.name for path in tmp_path.iterdir() if path.name != "go")
        return [int(one.split()[1]) for one in begun]

    sqs.send_message(QueueUrl=url, MessageBody="few")
    eventually(lambda: hidden(aws, url) == 1)
    assert sizes() == [], "it waits for the window, or for another one"
    sqs.send_message(QueueUrl=url, MessageBody="few")
    assert eventually(sizes) == [2]
    lambdas.update_event_source_mapping(
        UUID=mapping, BatchSize=30, MaximumBatchingWindowInSeconds=1
    )
    for number in (2, 3):
        sqs.send_message(QueueUrl=url, MessageBody="wait")
        eventually(lambda: len(sizes()) == number)  # noqa: B023 - called at once
    for _ in range(30):
        sqs.send_message(QueueUrl=url, MessageBody="x" * 250_000)
    assert sizes() == [2, 1, 1], "two are in work, and no more may be"
    (tmp_path / "go").touch()
    eventually(lambda: sum(sizes()) == 34)
    assert max(sizes()) * 250_000 < 6_291_456
    lambdas.delete_event_source_mapping(UUID=mapping)


def test_a_throttled_batch_is_tried_again_and_a_disabled_mapping_takes_none(
    aws: LocalAws, lambdas: Any, create: Create
) -> None:
    """A message that meets a throttle is received once; while disabled it stays in the queue."""
    sqs = client(aws, "sqs")
    url, arn = queue(aws, 600)
    name = create(code=zipped({"app.py": CODE}))
    source = {"EventSourceArn": arn, "FunctionName": name, "Enabled": False}
    mapping = lambdas.create_event_source_mapping(**source)["UUID"]
    sqs.send_message(QueueUrl=url, MessageBody="first")
    assert sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"]
    lambdas.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    lambdas.update_event_source_mapping(UUID=mapping, Enabled=True)
    eventually(lambda: hidden(aws, url) == 1)
    assert received(aws, name) == []
    lambdas.delete_function_concurrency(FunctionName=name)
    (event,) = eventually(lambda: received(aws, name))
    assert event["Records"][0]["attributes"]["ApproximateReceiveCount"] == "2"
    eventually(lambda: hidden(aws, url) == 0)
    lambdas.delete_event_source_mapping(UUID=mapping)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        lambdas.delete_event_source_mapping(UUID=mapping)


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        ("null", set()),
        ("{}", set()),
        ('{"batchItemFailures": null}', set()),
        ('{"batchItemFailures": []}', set()),
        ('{"batchItemFailures": [{"itemIdentifier": "a"}]}', {"a"}),
        ('{"batchItemFailures": [{"itemIdentifier": "other"}]}', {"a", "b"}),
        ('{"batchItemFailures": [{"itemIdentifier": ""}]}', {"a", "b"}),
        ('{"batchItemFailures": [{"itemIdentifier": null}]}', {"a", "b"}),
        ('{"batchItemFailures": [{"itemIdentifer": "a"}]}', {"a", "b"}),
        ('{"batchItemFailures": ["a"]}', {"a", "b"}),
        ("no JSON", {"a", "b"}),
    ],
)
def test_what_a_function_says_of_its_batch(answer: str, failed: set[str]) -> None:
    """Nothing to report is a success; a report that makes no sense lets all of it come again."""
    done = Invocation("id", "1", answer.encode(), None, "", "", "", Figures(0.0, None, None))
    assert to_come_again(done, {"a", "b"}, ("ReportBatchItemFailures",)) == failed
    assert to_come_again(done, {"a", "b"}, ()) == set()
    assert to_come_again(replace(done, error="Unhandled"), {"a"}, ()) == {"a"}


def test_mappings_that_lambda_refuses_are_refused(
    aws: LocalAws, lambdas: Any, create: Create
) -> None:
    """In its words: a queue too impatient, missing or mapped already; sizes and windows."""
    name = create()
    _, impatient = queue(aws, 1)
    _, arn = queue(aws, 60)
    _, fifo = queue(aws, 60, FifoQueue="true")
    mapping = lambdas.create_event_source_mapping(EventSourceArn=arn, FunctionName=name)["UUID"]
    one = {"ScalingConfig": {"MaximumConcurrency": 1}}
    refused: list[tuple[str, dict[str, Any], str]] = [
        (impatient, {}, "1 seconds is less than Function timeout: 60 seconds"),
        (arn, {}, f"already exists. Please update or delete the existing mapping .* {mapping}"),
        (f"{arn}-missing", {}, "The specified queue does not exist"),
        (impatient, {"BatchSize": 11}, "window in seconds must be greater than 0"),
        (impatient, {"BatchSize": 10_001}, "less than or equal to 10000"),
        (impatient, one, "greater than or equal to 2"),
        (fifo, {"MaximumBatchingWindowInSeconds": 1}, "not supported for FIFO queues"),
        (fifo, {"BatchSize": 11}, "FIFO queue"),
    ]
    unchecked = clients.client(aws, "lambda", Config(parameter_validation=False))
    for source, settings, said in refused:
        with pytest.raises(ClientError, match=said):
            unchecked.create_event_source_mapping(
                EventSourceArn=source, FunctionName=name, **settings
            )
    with pytest.raises(ClientError, match="window in seconds must be greater than 0"):
        lambdas.update_event_source_mapping(UUID=mapping, BatchSize=100)
    lambdas.delete_event_source_mapping(UUID=mapping)


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
