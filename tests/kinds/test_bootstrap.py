"""What `environment/bootstrap.yaml` grants: as much as is printed, and bounded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from pipeline.project.stack import resource_types
from pipeline.stack.rights import Scope, statements, without_rights

from tests.kinds.stacks import read
from tests.repositories import Render
from tests.template.answers import KINDS

# IAM's own limit for a managed policy, blanks not counted.
LARGEST_POLICY = 6144
ENVIRONMENTS = ("CallsPolicy", "ResourcesPolicy", "RolesPolicy")


def long(value: Any) -> Any:
    """Return a structure with the texts that short forms stand for, as far as rights have them."""
    if isinstance(value, list):
        return [long(one) for one in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"Sub": str(text)}:
            return text
        case {"Ref": name}:
            return f"${{{name}}}"
    return {key: long(one) for key, one in value.items()}


def rights(found: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Yield each action with each resource, and the condition as text."""
    for one in found:
        assert one["Effect"] == "Allow"
        resources = one["Resource"] if isinstance(one["Resource"], list) else [one["Resource"]]
        condition = json.dumps(one.get("Condition", {}), sort_keys=True)
        yield from ((action, place, condition) for action in one["Action"] for place in resources)


def granted(template: Mapping[str, Any], *names: str) -> list[Mapping[str, Any]]:
    """Return the statements of managed policies."""
    documents = [template["Resources"][name]["Properties"]["PolicyDocument"] for name in names]
    found = [one for document in documents for one in document["Statement"]]
    return [long(one["If"][1] if "If" in one else one) for one in found]


@pytest.mark.parametrize("kind", KINDS)
def test_who_makes_environments_may_do_what_is_printed(render: Render, kind: str) -> None:
    """The three policies together are those of `env.create --print-policy`, for any environment."""
    root = render(function_kind=kind)
    types = resource_types(root)
    assert without_rights(types) == []
    scope = Scope(
        "${AWS::Partition}", "*", "${AWS::AccountId}", "*-ElbLogsProcessor",
        "ELB.Logs.Processor", "${Boundary}", "${CodeBucket}", "*/",
    )  # fmt: skip
    template = read(root, "bootstrap.yaml")
    printed = list(rights(statements(types, scope)))
    assert sorted(rights(granted(template, *ENVIRONMENTS))) == sorted(printed)
    for name in (*ENVIRONMENTS, "DeployPolicy", "Boundary"):
        text = json.dumps(granted(template, name), separators=(",", ":"))
        filled = text.replace("*-ElbLogsProcessor", f"*-{'x' * 63}")
        assert len(filled) < LARGEST_POLICY, name


@pytest.mark.parametrize("kind", KINDS)
def test_a_function_s_role_stays_within_the_boundary(render: Render, kind: str) -> None:
    """What the stack gives the role the boundary lets it use; and it grants no more than data."""
    root = render(function_kind=kind)
    resources = read(root, "stack.yaml")["Resources"]
    bounded = list(rights(granted(read(root, "bootstrap.yaml"), "Boundary")))
    role = resources["Role"]["Properties"]
    assert role["PermissionsBoundary"]["If"][:2] == ["IsBounded", {"Ref": "PermissionsBoundary"}]
    documents = [one["PolicyDocument"] for one in role["Policies"]]
    documents += [
        body["Properties"]["PolicyDocument"]
        for body in resources.values()
        if body["Type"] == "AWS::IAM::Policy"
    ]
    needed = {
        action
        for document in documents
        for statement in document["Statement"]
        for action in [statement["Action"]]
        for action in (action if isinstance(action, list) else [action])
    }
    assert needed <= {action for action, _, _ in bounded}
    assert "logs:CreateLogGroup" not in needed | {action for action, _, _ in bounded}
    assert not [one for one, _, _ in bounded if one.startswith(("iam:", "sts:", "lambda:"))]


def test_a_role_is_assumed_by_whom_the_parameters_name(render: Render) -> None:
    """Issuer, audience and subject of a token are all looked at; without one it is one role."""
    role = read(render(), "bootstrap.yaml")["Resources"]["DeployRole"]["Properties"]
    _, by_token, by_role = role["AssumeRolePolicyDocument"]["If"]
    assert by_role["Statement"][0]["Principal"] == {"AWS": {"Ref": "DeployPrincipal"}}
    (statement,) = json.loads(by_token["Sub"])["Statement"]
    assert statement["Principal"]["Federated"].endswith(":oidc-provider/${DeployIssuer}")
    assert statement["Condition"] == {
        "StringEquals": {"${DeployIssuer}:aud": "${DeployAudience}"},
        "StringLike": {"${DeployIssuer}:sub": "${DeploySubject}"},
    }


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["python3.13", "nodejs24.x"])
@pytest.mark.parametrize("kind", KINDS)
def test_cfn_lint_finds_nothing(render: Render, kind: str, runtime: str) -> None:
    """Neither an error nor a warning, in any of the two files of a new repository."""
    # Half a second in each worker that only collects this.
    from cfnlint.api import lint_file  # type: ignore[import-untyped]  # noqa: PLC0415

    folder = render(function_kind=kind, runtime=runtime) / "environment"
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == ["bootstrap.yaml", "stack.yaml"]
    assert [str(one) for file in files for one in lint_file(file)] == []
