"""Each kind of function, rendered: its stack is what a deploy expects."""

from __future__ import annotations

import importlib
import json
import sys
import tomllib
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws
from moto.awslambda.models import lambda_backends
from moto.sqs.models import sqs_backends
from pipeline.deploy.smoke import Smoke, difference
from pipeline.local.moto_aliases import replace_qualifiers
from pipeline.local.moto_resources import add_resources
from pipeline.local.moto_sources import serve_sources
from pipeline.local.patches import Patches

from tests.kinds.stacks import Loader
from tests.repositories import Render
from tests.template.answers import KINDS, WITH_BUCKET


def _stack(render: Render, kind: str) -> str:
    return (render(function_kind=kind) / "environment" / "stack.yaml").read_text(encoding="utf-8")


def _names(value: Any) -> set[str]:
    """Return the logical names that a value refers to."""
    if isinstance(value, list):
        return set().union(*map(_names, value))
    if not isinstance(value, dict):
        return set()
    found = set().union(*map(_names, value.values()))
    if isinstance(target := value.get("Ref") or value.get("GetAtt"), str):
        found.add(target.split(".")[0])
    if isinstance(text := value.get("Sub"), str):
        found |= {part.split("}")[0].split(".")[0] for part in text.split("${")[1:]}
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_resources_do_not_wait_for_each_other(render: Render, kind: str) -> None:
    """There is an order in which CloudFormation can make the resources."""
    resources = yaml.load(_stack(render, kind), Loader)["Resources"]  # noqa: S506 (safe)
    waiting = {
        name: (_names(body["Properties"]) | {body.get("DependsOn")}) & set(resources)
        for name, body in resources.items()
    }
    while waiting:
        ready = {name for name, others in waiting.items() if not others & set(waiting)}
        assert ready, f"a circle: {waiting}"
        waiting = {name: others for name, others in waiting.items() if name not in ready}


@pytest.mark.parametrize("kind", KINDS)
def test_stack_can_be_made(render: Render, kind: str) -> None:
    """With a function name alone the stack makes all it says, by moto and what we add to it."""
    body = _stack(render, kind)
    declared = yaml.load(body, Loader)["Resources"]  # noqa: S506 (safe)
    with Patches() as patches, mock_aws():
        add_resources(patches)
        replace_qualifiers(patches)
        serve_sources(patches, lambda *_: None)
        cloudformation = boto3.client("cloudformation", region_name="eu-west-1")
        cloudformation.create_stack(
            StackName="CI-Example",
            TemplateBody=body,
            Parameters=[{"ParameterKey": "FunctionName", "ParameterValue": "CI-Example"}],
            Capabilities=["CAPABILITY_IAM"],
        )
        (stack,) = cloudformation.describe_stacks(StackName="CI-Example")["Stacks"]
        made = cloudformation.describe_stack_resources(StackName="CI-Example")["StackResources"]
        function = boto3.client("lambda", region_name="eu-west-1").get_function(
            FunctionName="CI-Example"
        )["Configuration"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert {resource["LogicalResourceId"] for resource in made} == declared.keys()
    outputs = {output["OutputKey"] for output in stack["Outputs"]}
    always = {"FunctionName", "FunctionArn", "LiveArn", "LogGroupName", "DeadLettersUrl"}
    queue = {"QueueUrl", "QueueArn", "DeadLettersArn"} if kind == "sqs-queue" else set()
    assert outputs == always | queue | ({"BucketName"} if kind in WITH_BUCKET else set())
    assert function["Runtime"] == "python3.13"
    assert function["Handler"].endswith(".handler.handle")


@pytest.mark.parametrize("kind", WITH_BUCKET)
def test_bucket_is_kept_and_closed(render: Render, kind: str) -> None:
    """The bucket outlives the stack, is encrypted, is not public, and calls the function."""
    bucket = yaml.load(_stack(render, kind), Loader)["Resources"]["Bucket"]  # noqa: S506 (safe)
    properties = bucket["Properties"]
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert "AES256" in json.dumps(properties["BucketEncryption"])
    (target,) = properties["NotificationConfiguration"]["LambdaConfigurations"]
    assert target == {"Event": "s3:ObjectCreated:*", "Function": {"Ref": "Live"}}
    assert bucket["DependsOn"] == "BucketMayInvoke"


@pytest.mark.parametrize("fifo", ["false", "true"])
def test_dead_letters_come_from_the_queue_alone(render: Render, fifo: str) -> None:
    """What the stack computes is the queue's own ARN, of either sort of queue."""
    with Patches() as patches, mock_aws():
        add_resources(patches)
        replace_qualifiers(patches)
        serve_sources(patches, lambda *_: None)
        boto3.client("cloudformation", region_name="eu-west-1").create_stack(
            StackName="CI-Example",
            TemplateBody=_stack(render, "sqs-queue"),
            Parameters=[
                {"ParameterKey": "FunctionName", "ParameterValue": "CI-Example"},
                {"ParameterKey": "Fifo", "ParameterValue": fifo},
            ],
        )
        made: dict[str, Any] = sqs_backends["123456789012"]["eu-west-1"].queues
        (queue,) = [one for one in made.values() if one.redrive_policy]
        (dead,) = [one for one in made.values() if not one.redrive_policy]
        assert {queue.name.endswith(".fifo"), dead.name.endswith(".fifo")} == {fifo == "true"}
        assert dead.redrive_allow_policy["sourceQueueArns"] == [queue.queue_arn]
        (mapping,) = lambda_backends["123456789012"]["eu-west-1"].list_event_source_mappings("", "")
        assert mapping.max_batch_window == (None if fifo == "true" else 1)


def test_no_message_is_lost(render: Render) -> None:
    """What fails comes again, not before the function can be done, and ends as a dead letter."""
    stack = yaml.load(_stack(render, "sqs-queue"), Loader)  # noqa: S506 (safe)
    resources, parameters = stack["Resources"], stack["Parameters"]
    defaults = {name: one.get("Default") for name, one in parameters.items()}
    least = 6 * defaults["Timeout"] + defaults["BatchWindow"]
    assert defaults["VisibilityTimeout"] >= least
    queue, dead = (resources[name]["Properties"] for name in ("Queue", "DeadLetters"))
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {"GetAtt": "DeadLetters.Arn"}
    assert dead["MessageRetentionPeriod"] > queue["MessageRetentionPeriod"]
    assert dead["RedriveAllowPolicy"]["redrivePermission"] == "byQueue"
    assert [one["SqsManagedSseEnabled"] for one in (queue, dead)] == [True, True]
    closed = {
        queue["Ref"]
        for body in resources.values()
        if body["Type"] == "AWS::SQS::QueuePolicy" and "SecureTransport" in json.dumps(body)
        for queue in body["Properties"]["Queues"]
    }
    assert closed == {"Queue", "DeadLetters"}
    source = resources["Source"]["Properties"]
    assert source["FunctionName"] == {"Ref": "Live"}
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "MaximumConcurrency"}}


@pytest.mark.parametrize("kind", KINDS)
def test_all_that_calls_hangs_on_the_alias(render: Render, kind: str) -> None:
    """Nothing names the function but its alias and the alias's settings; `live` starts at $LATEST.

    A deploy moves the alias, so whatever named the function would go past the deployed version.
    """
    resources = yaml.load(_stack(render, kind), Loader)["Resources"]  # noqa: S506 (safe)
    assert resources["Live"]["Properties"] == {
        "FunctionName": {"Ref": "Function"},
        "FunctionVersion": "$LATEST",
        "Name": "live",
    }
    settings = {"Live"} if kind == "sqs-queue" else {"Live", "Retries"}  # its source waits itself
    if "Retries" in settings:
        retries = resources["Retries"]
        assert (retries["Properties"]["Qualifier"], retries["DependsOn"]) == ("live", "Live")
    naming = {name for name, body in resources.items() if "Function" in _names(body["Properties"])}
    assert naming == settings
    permissions = [b["Properties"] for b in resources.values() if b["Type"].endswith("Permission")]
    assert [permission["FunctionName"] for permission in permissions] == (
        [{"Ref": "Live"}] if kind in WITH_BUCKET else []
    )
    assert all("SourceAccount" in one and "Qualifier" not in one for one in permissions)


@pytest.mark.parametrize("kind", KINDS)
def test_role_grants_no_wildcards(render: Render, kind: str) -> None:
    """Every statement of the role names its actions, and a resource of this stack."""
    resources = yaml.load(_stack(render, kind), Loader)["Resources"]  # noqa: S506 (safe)
    policies = [
        policy["PolicyDocument"] for policy in resources["Role"]["Properties"]["Policies"]
    ] + [
        body["Properties"]["PolicyDocument"]
        for body in resources.values()
        if body["Type"] == "AWS::IAM::Policy"
    ]
    statements = [statement for policy in policies for statement in policy["Statement"]]
    assert len(statements) >= 2
    for statement in statements:
        assert "*" not in json.dumps(statement["Action"])
        assert statement["Resource"] != "*"


def test_locks_fit_together(render: Render) -> None:
    """What the tests install never asks for another version of what the function has."""
    for kind in KINDS:
        folder = render(function_kind=kind) / "requirements"
        pins = [
            line.split(" ")[0].split("==")
            for name in ("function.txt", "test.txt")
            for line in (folder / name).read_text(encoding="utf-8").splitlines()
            if "==" in line
        ]
        assert len({name for name, _ in pins}) == len({(name, pin) for name, pin in pins})
        assert ("boto3" in dict(pins)) is (kind in WITH_BUCKET)


@pytest.mark.parametrize("kind", KINDS)
def test_the_smoke_test_of_a_kind_is_answered_as_it_says(
    render: Render, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its event does no harm: nothing is read, nothing is sent, nothing has to be there."""
    folder = render(function_kind=kind)
    (path,) = (folder / "src").glob("*/handler.py")
    package = path.parent.name
    monkeypatch.syspath_prepend(str(folder / "src"))
    settings = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["tool"]["pipeline"]
    for name, value in settings["function"].get("environment", {}).items():
        monkeypatch.setenv(name, "1" if value.startswith("#{") else value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    file = folder / "tests" / "events" / "smoke.json"
    smoke = Smoke.read(file.read_bytes(), "smoke.json")
    handler = importlib.import_module(f"{package}.handler")
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 3000)
    answer = json.loads(json.dumps(handler.handle(json.loads(smoke.event), context)))
    assert [difference(one, answer) for one in smoke.expected] == [""]
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[name]
