"""Templates in the embedded AWS: what CloudFormation would refuse is refused there too."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pipeline.local.state import LocalAws

from tests.local.conftest import Create
from tests.local.local_support import client, eventually
from tests.repositories import Render

QUEUE = "Resources:\n  Queue:\n    Type: AWS::SQS::Queue\n    Properties: {DelaySeconds: 1}\n"
NAMED = f"Parameters:\n  Name: {{Type: String, Default: one}}\n{QUEUE}"
IMPORTED = {
    "ResourceType": "AWS::SQS::Queue",
    "LogicalResourceId": "Queue",
    "ResourceIdentifier": {"QueueUrl": "https://sqs.example/1/there"},
}


@pytest.fixture
def stacks(aws: LocalAws) -> Any:
    """Return CloudFormation in a region of its own."""
    return client(replace(aws, region="eu-north-1"), "cloudformation")


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("AWS::SQS::Queue", "AWS::Lambda::Functon", "AWS::Lambda::Functon"),
        ("AWS::SQS::Queue", "AWS::sqs::Queue", "AWS::sqs::Queue"),
        ("AWS::SQS::Queue", "Queue", "Queue"),
    ],
)
def test_a_type_that_is_none_is_refused_by_name(
    stacks: Any, old: str, new: str, named: str
) -> None:
    """In CloudFormation's words, for each call that takes a template, and nothing is made."""
    body = QUEUE.replace(old, new)
    change = {"ChangeSetName": "one", "ChangeSetType": "CREATE"}
    for call, given in (
        (stacks.create_stack, {"StackName": "wrong"}),
        (stacks.create_change_set, {"StackName": "wrong", **change}),
        (stacks.get_template_summary, {}),
    ):
        with pytest.raises(ClientError) as refused:
            call(TemplateBody=body, **given)
        assert refused.value.response["Error"]["Message"] == (
            f"Template format error: Unrecognized resource types: [{named}]"
        )
    assert "wrong" not in [one["StackName"] for one in stacks.describe_stacks()["Stacks"]]


@pytest.mark.parametrize(
    "how",
    [
        {"ChangeSetType": "IMPORT", "ResourcesToImport": [IMPORTED]},
        {"ChangeSetType": "CREATE", "ImportExistingResources": True},
    ],
)
def test_an_import_is_refused_and_not_taken_for_a_creation(
    stacks: Any, how: dict[str, Any]
) -> None:
    """Moto would make a second resource beside the one that is to be imported."""
    with pytest.raises(ClientError, match="The embedded AWS imports nothing"):
        stacks.create_change_set(StackName="taken", ChangeSetName="a", TemplateBody=QUEUE, **how)


def test_an_update_of_nothing_is_refused(stacks: Any) -> None:
    """With the values of before, given or kept; a value or a tag that differs is an update."""
    one = [{"ParameterKey": "Name", "ParameterValue": "one"}]
    stacks.create_stack(StackName="same", TemplateBody=NAMED, Parameters=one)
    update = partial(stacks.update_stack, StackName="same", TemplateBody=NAMED)
    for again in (one, [{"ParameterKey": "Name", "UsePreviousValue": True}]):
        with pytest.raises(ClientError, match="No updates are to be performed"):
            update(Parameters=again)
    update(Parameters=one, Tags=[{"Key": "team", "Value": "logs"}])
    update(Parameters=[{"ParameterKey": "Name", "ParameterValue": "two"}])
    with pytest.raises(ClientError, match="No updates are to be performed"):
        update(Parameters=[{"ParameterKey": "Name", "UsePreviousValue": True}])


def test_the_roles_of_bootstrap_are_made(
    stacks: Any, aws: LocalAws, render_function: Render
) -> None:
    """With what they may do, and a trust that names the issuer; nothing that is not asked for."""
    body = (render_function() / "environment" / "bootstrap.yaml").read_text(encoding="utf-8")
    given = {
        "DeployIssuer": "octopus.example.com",
        "DeploySubject": "space:default:*",
        "EnvironmentPrincipal": "arn:aws:iam::123456789012:role/agent",
    }
    stacks.create_stack(
        StackName="bootstrap",
        TemplateBody=body,
        Parameters=[{"ParameterKey": key, "ParameterValue": given[key]} for key in given],
        Capabilities=["CAPABILITY_IAM"],
    )
    (stack,) = stacks.describe_stacks(StackName="bootstrap")["Stacks"]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    iam = client(aws, "iam")
    deploy, environment = (
        iam.get_role(RoleName=outputs[name].rpartition("/")[2])["Role"]
        for name in ("DeployRoleArn", "EnvironmentRoleArn")
    )
    assert "octopus.example.com:sub" in json.dumps(deploy["AssumeRolePolicyDocument"])
    (statement,) = environment["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"AWS": given["EnvironmentPrincipal"]}
    assert "Condition" not in statement
    made = {one["PolicyName"]: one["Arn"] for one in iam.list_policies(Scope="Local")["Policies"]}
    (arn,) = (made[name] for name in made if name.startswith("bootstrap-DeployPolicy-"))
    assert len([name for name in made if name.startswith("bootstrap-")]) == 5
    document = iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"]
    # Without a bucket for the code, and without a key.
    assert len(document["Statement"]) == 3


def test_what_runs_on_after_a_deletion_brings_no_log_group_back(
    aws: LocalAws, lambdas: Any, create: Create, tmp_path: Path
) -> None:
    """Its role is gone by then, and had no right to make one."""
    name = create()
    group = f"/aws/lambda/{name}"
    logs = client(aws, "logs")
    logs.create_log_group(logGroupName=group)
    event = json.dumps({"do": "meet", "here": str(tmp_path)})
    with ThreadPoolExecutor() as pool:
        running = pool.submit(lambdas.invoke, FunctionName=name, Payload=event)
        eventually(lambda: list(tmp_path.iterdir()))
        lambdas.delete_function(FunctionName=name)
        logs.delete_log_group(logGroupName=group)
        (tmp_path / "other").touch()
        running.exception()
    assert logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"] == []
