"""What env.* calls is in the policies that it prints, and that bootstrap.yaml grants."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from pipeline.project.project import Project
from pipeline.project.stack import resource_types
from pipeline.runtime.function_code import LocalRuntime
from pipeline.stack.change_set import Stacks
from pipeline.stack.listing import find_function, service_stacks, warn_of
from pipeline.stack.rights import Scope, statements
from pipeline.verbs.env_policy import environment_policy

from tests.kinds.stacks import read
from tests.local.local_support import Seen
from tests.local.made_environments import whole
from tests.local.recorded_rights import outside, recorded
from tests.project.values_support import SETTINGS, write_settings
from tests.repositories import Render


def test_env_calls_nothing_that_its_policies_do_not_have(
    tmp_path: Path,
    runtimes: Mapping[str, LocalRuntime],
    render_function: Render,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An environment is made, changed, listed, warned of and removed; every call is looked at."""
    with whole(tmp_path, runtimes) as there:
        stacks, functions = Stacks(there.aws("cloudformation"), time.sleep), there.aws("lambda")
        with recorded(caplog) as needed:
            there.create("one")
            there.memory = 512
            there.create("one")
            assert [*service_stacks(stacks, "env.list", "Acme.Orders", {})]
            found = find_function(functions, "one-Orders")
            assert found
            warn_of(functions, found, "now")
            warn_of(functions, found, "")
            assert there.delete("one") == []
        types = resource_types(there.folder)
    deploys = read(render_function(), "bootstrap.yaml")["Resources"]["DeployPolicy"]
    granted = [
        one["If"][1] if "If" in one else one
        for one in deploys["Properties"]["PolicyDocument"]["Statement"]
    ]
    scope = Scope("aws", "*", "*", "one-Orders", "Acme", code="deployments", prefix="one/")
    assert {"cloudformation:CreateChangeSet", "lambda:UntagResource", "s3:PutObject"} <= needed
    assert outside(needed, [*statements(types, scope), *granted]) == []


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
