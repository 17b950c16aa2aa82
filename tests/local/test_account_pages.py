"""The pages on secrets and on what is there already: their code and lines do what they say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import pytest
from pipeline.local.state import LocalAws

from tests.kinds.stacks import read
from tests.local.local_support import client
from tests.repositories import ROOT, Render

PAGES = ROOT / "template" / "scripts" / "docs"
NAME = "CI-ElbLogsProcessor"


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of code of a page."""
    text = (PAGES / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_page_s_code_reads_a_secret_and_reads_it_again(
    aws: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once in five minutes, from SSM; and the line for Secrets Manager reads one from there."""
    for key, value in aws.environment().items():
        monkeypatch.setenv(key, value)
    ssm = client(aws, "ssm")
    name = f"/{NAME}/api-key"
    monkeypatch.setenv("API_KEY_PARAMETER", name)
    put: Callable[[str], Any] = lambda value: ssm.put_parameter(  # noqa: E731
        Name=name, Value=value, Type="SecureString", Overwrite=True
    )
    module, line = blocks("secrets.md", "python")
    names: dict[str, Any] = {}
    exec(compile(module, "secret.py", "exec"), names)  # noqa: S102 - the page's own
    seen = []
    for value, kept in (("first", 300.0), ("second", 300.0), ("second", -1.0)):
        put(value)
        names["KEPT"] = kept
        seen.append(names["secret"]("API_KEY_PARAMETER"))
    assert seen == ["first", "first", "second"]
    client(aws, "secretsmanager").create_secret(Name=name[1:], SecretString="third")
    assert eval(line, {**names, "name": name[1:]}) == "third"  # noqa: S307 - the page's own


def test_the_page_s_right_is_for_the_one_secret(aws: LocalAws, render_function: Render) -> None:
    """Its statements fit into the role of a new repository, and are within the boundary."""
    root = render_function(function_kind="empty")
    text = (root / "environment" / "stack.yaml").read_text(encoding="utf-8")
    before = "              - Effect: Allow\n                Action: sqs:SendMessage\n"
    assert before in text
    stacks = client(there := replace(aws, region="ap-south-1"), "cloudformation")
    stacks.create_stack(
        StackName=NAME,
        TemplateBody=text.replace(before, "".join([*blocks("secrets.md", "yaml"), before])),
        Parameters=[{"ParameterKey": "FunctionName", "ParameterValue": NAME}],
        Capabilities=["CAPABILITY_IAM"],
    )
    role = stacks.describe_stack_resource(StackName=NAME, LogicalResourceId="Role")
    policy = client(there, "iam").get_role_policy(
        RoleName=role["StackResourceDetail"]["PhysicalResourceId"], PolicyName="LogAndDeadLetters"
    )["PolicyDocument"]
    granted = {one["Action"]: one["Resource"] for one in policy["Statement"][1:3]}
    place = "ap-south-1:123456789012"
    secret = f"arn:aws:secretsmanager:{place}:secret:{NAME}/api-key-??????"
    assert granted == {
        "ssm:GetParameter": f"arn:aws:ssm:{place}:parameter/{NAME}/api-key",
        "secretsmanager:GetSecretValue": secret,
    }
    text = json.dumps(read(root, "bootstrap.yaml")["Resources"]["Boundary"])
    text = text.replace("${AWS::Partition}", "aws").replace("${AWS::AccountId}", "123456789012")
    bounds = re.findall(r'"(arn:[^"]*)"', text)
    for arn in granted.values():
        assert any(fnmatchcase(arn, one) for one in bounds), arn


def test_the_lines_to_change_for_an_import_are_in_a_new_stack(render_function: Render) -> None:
    """What the page's differences take away, and what stands around it, is there in that order."""
    text = (render_function() / "environment" / "stack.yaml").read_text(encoding="utf-8")
    there = text.splitlines()
    for block in blocks("adopting.md", "diff"):
        lines = [line[1:] for line in block.splitlines() if not line.startswith("+")]
        at = [there.index(line) for line in lines if line.startswith("  ") and line[2] != " "]
        assert at == sorted(at)
        assert [line for line in lines if line not in there] == []
