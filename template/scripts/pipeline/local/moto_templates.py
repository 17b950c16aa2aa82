"""What CloudFormation refuses or does with a template, and moto does not.

Types that are none of AWS's are refused, as far as that can be told without AWS's list, and so are
imports. What `AWS::NoValue` stands for in a list goes, and `!Condition` is understood.
"""

from __future__ import annotations

import json
from typing import Any

from moto.cloudformation import models, parsing, responses
from moto.cloudformation.exceptions import ValidationError
from moto.iam.models import Role

from ..project.stack import no_type
from .patches import Original, Patches


def refuse_templates(patches: Patches) -> None:
    """Make moto read templates as CloudFormation does."""
    patches.wrap(parsing, "clean_json", _without_nothing)
    patches.wrap(Role, "put_policy", _as_text)
    for module in (models, responses):
        patches.wrap(module, "yaml_tag_constructor", _with_conditions)
    for call in ("create_stack", "update_stack", "create_change_set", "get_template_summary"):
        patches.wrap(responses.CloudFormationResponse, call, _checked)


def _without_nothing(original: Original, resource_json: Any, resources_map: Any) -> Any:
    found = original(resource_json, resources_map)
    return [one for one in found if one is not None] if isinstance(found, list) else found


def _as_text(original: Original, self: Any, policy_name: str, policy_json: Any) -> None:
    # A template's is no text, and what reads it later expects one.
    text = policy_json if isinstance(policy_json, str) else json.dumps(policy_json)
    original(self, policy_name, text)


def _with_conditions(original: Original, loader: Any, tag: Any, node: Any) -> Any:
    return {"Condition": node.value} if tag == "!Condition" else original(loader, tag, node)


def _checked(original: Original, self: Any) -> Any:
    importing = self._get_bool_param("ImportExistingResources")
    if importing or self._get_param("ChangeSetType") == "IMPORT":
        message = "The embedded AWS imports nothing into a stack: try it in an account."
        raise ValidationError(message=message)
    body = self._get_param("TemplateBody")
    if self._get_action() == "UpdateStack":
        _refuse_nothing(self, body)
    if body:
        resources = models.Stack.parse_template(body).get("Resources", {}).values()
        types = [str(one.get("Type")) for one in resources if isinstance(one, dict)]
        known = parsing.get_model_map()
        if wrong := sorted({one for one in types if no_type(one, known) is not None}):
            message = f"Template format error: Unrecognized resource types: {wrong}"
            raise ValidationError(message=message.replace("'", ""))
    return original(self)


def _refuse_nothing(call: Any, body: str | None) -> None:
    """Refuse an update of nothing; moto takes one that leaves a parameter's default."""
    there = call.cloudformation_backend.get_stack(call._get_param("StackName"))  # noqa: SLF001
    given = {
        one["ParameterKey"]: one.get("ParameterValue", there.parameters.get(one["ParameterKey"]))
        for one in call._get_param("Parameters", [])  # noqa: SLF001
    }
    new = {key: value for key, value in given.items() if value is not None}
    tags = {one["Key"]: one["Value"] for one in call._get_param("Tags", [])}  # noqa: SLF001
    same = there.has_template(body or there.template) and there.has_parameters(new)
    if same and tags in ({}, there.tags):
        raise ValidationError(message="No updates are to be performed.")
