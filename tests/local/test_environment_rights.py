"""What env.* calls is in the policy that it prints."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from pipeline.local.state import LocalAws
from pipeline.project.project import Project
from pipeline.project.stack import resource_types
from pipeline.stack.change_set import (
    ENVIRONMENT,
    SERVICE,
    Stacks,
    Wanted,
    apply_change_set,
    make_change_set,
)
from pipeline.stack.removal import Removal, audit, remove_stack, stop_sources
from pipeline.stack.rights import Scope, statements
from pipeline.verbs.env_policy import environment_policy

from tests.local.local_support import Seen, client
from tests.local.recorded_rights import outside, recorded
from tests.project.values_support import SETTINGS, write_settings
from tests.repositories import Render

NAME = "test-1-ElbLogsProcessor"


def test_env_calls_nothing_that_its_policy_does_not_have(
    aws: LocalAws, render_function: Render, caplog: pytest.LogCaptureFixture
) -> None:
    """Make, change, list and remove the stack of a new repository, and look at every call."""
    root = render_function()
    clients, seen = partial(client, replace(aws, region="eu-central-1")), Seen()
    stacks = Stacks(clients("cloudformation"), lambda _: None)
    text = (root / "environment" / "stack.yaml").read_text(encoding="utf-8")
    wanted = Wanted(NAME, text, {"FunctionName": NAME}, {SERVICE: "Acme"})
    tags = {SERVICE: "Acme", ENVIRONMENT: "test-1"}
    removal = Removal(NAME, clients, stacks, tags=tags)
    with recorded(caplog) as needed:
        outputs = apply_change_set(
            stacks, make_change_set(stacks, wanted, keep_on_failure=False), seen.reporter
        )
        for _ in range(2):
            clients("s3").put_object(Bucket=outputs["BucketName"], Key="one.log", Body=b"")
        found = removal.inventory()
        stop_sources(removal, found, seen.reporter)
        remove_stack(removal, found, seen.reporter)
        assert audit(removal, found) == []
    scope = Scope("aws", "*", "*", NAME, "Acme")
    assert "cloudformation:CreateChangeSet" in needed
    assert outside(needed, statements(resource_types(root), scope)) == []


def test_the_printed_policy_is_for_one_environment(tmp_path: Path) -> None:
    """Account, region and name are its own; what nobody here knows the rights of is named."""
    parameters = '[tool.pipeline.environments.CI.parameters]\nPermissionsBoundary = "arn:bound"\n'
    bucket = 'handler = "orders.handler.handle"\nbucket = "code/#{Octopus.Environment.Name}"'
    settings = SETTINGS.replace('handler = "orders.handler.handle"', bucket)
    root = write_settings(tmp_path, f"{settings}\n{parameters}")
    (root / "environment").mkdir()
    (root / "environment" / "stack.yaml").write_text(
        "Resources:\n  Role: {Type: AWS::IAM::Role}\n  Topic: {Type: AWS::SNS::Topic}\n"
    )
    project, seen = Project.load(root), Seen()
    ci, like, free = (
        environment_policy(project, *names, seen.reporter)
        for names in (("ci", ""), ("test-1", "CI"), ("Production", ""))
    )
    assert "arn:aws:cloudformation:eu-west-1:123456789012:stack/CI-Orders/*" in ci
    assert ("arn:bound" in ci, "arn:bound" in free) == (True, False)
    assert "role/test-1-Orders-*" in like
    assert "CI-Orders" not in like
    assert "arn:aws:s3:::code/test-1/*" in like
    assert "arn:aws:iam::*:role/Production-Orders-*" in free
    assert any("AWS::SNS::Topic" in text for text in seen.lines())
    assert json.loads(ci)["Version"] == "2012-10-17"
