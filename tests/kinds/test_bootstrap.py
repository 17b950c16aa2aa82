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
    return [long(one) for document in documents for one in document["Statement"]]


@pytest.mark.parametrize("kind", KINDS)
def test_who_makes_environments_may_do_what_is_printed(render: Render, kind: str) -> None:
    """The three policies together are those of `env.create --print-policy`, for any environment."""
    root = render(function_kind=kind)
    types = resource_types(root)
    assert without_rights(types) == []
    scope = Scope(
        "${AWS::Partition}", "*", "${AWS::AccountId}", "*-ElbLogsProcessor",
        "ELB.Logs.Processor", "${Boundary}",
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


@pytest.mark.parametrize(
    ("given", "role", "principal"),
    [
        ("Issuer", "DeployRole", "Federated"),
        ("Principal", "EnvironmentRole", "AWS"),
    ],
)
def test_a_role_is_assumed_by_whom_the_parameters_name(
    render: Render, given: str, role: str, principal: str
) -> None:
    """A token's issuer, audience and subject are all looked at; a role's trust names one role."""
    trust = read(render(), "bootstrap.yaml")["Resources"][role]["Properties"][
        "AssumeRolePolicyDocument"
    ]["If"]
    if given == "Principal":
        (statement,) = trust[2]["Statement"]
        assert statement["Principal"] == {principal: {"Ref": "EnvironmentPrincipal"}}
        return
    text = trust[1]["Sub"]
    for name, value in {
        "${DeployIssuer}": "token.actions.githubusercontent.com",
        "${DeployAudience}": "sts.amazonaws.com",
        "${DeploySubject}": "repo:acme/logs:ref:refs/heads/main",
        "${AWS::Partition}": "aws",
        "${AWS::AccountId}": "123456789012",
    }.items():
        text = text.replace(name, value)
    (statement,) = json.loads(text)["Statement"]
    provider = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
    assert statement["Principal"] == {principal: provider}
    keys = {key.rpartition(":")[2] for one in statement["Condition"].values() for key in one}
    assert keys == {"aud", "sub"}
