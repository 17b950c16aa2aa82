"""What calls a function beside its alias, and so never meets what a deploy published."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ..core.names import LATEST
from .aws_errors import Missing, explained_errors
from .observe import Observed, listed


def off_the_alias(client: Any, function: Observed) -> list[str]:
    """Name every permission, event source and retry setting that is not on the alias.

    Raises PipelineError where they cannot be read.
    """
    return [
        *_permissions(client, function),
        *_event_sources(client, function),
        *_retry_settings(client, function),
    ]


def _permissions(client: Any, function: Observed) -> Iterator[str]:
    try:
        with explained_errors(function.name, "lambda:GetPolicy"):
            answer = client.get_policy(FunctionName=function.name)
            statements = json.loads(answer["Policy"])["Statement"]
            found = [one for one in statements if one["Resource"] == function.arn]
    except Missing:
        return
    for statement in found:
        principal = statement.get("Principal")
        who = principal.get("Service") if isinstance(principal, Mapping) else principal
        yield f"permission {statement.get('Sid', '')} of {who}"


def _event_sources(client: Any, function: Observed) -> Iterator[str]:
    name, method = function.name, "list_event_source_mappings"
    for one in listed(client, method, "EventSourceMappings", name):
        if str(one.get("FunctionArn")) == function.arn:
            yield f"event source {one.get('EventSourceArn') or one.get('UUID')}"


def _retry_settings(client: Any, function: Observed) -> Iterator[str]:
    name, method = function.name, "list_function_event_invoke_configs"
    found = listed(client, method, "FunctionEventInvokeConfigs", name)
    if any(one.get("FunctionArn") in (function.arn, f"{function.arn}:{LATEST}") for one in found):
        yield "retry settings and destinations (EventInvokeConfig)"
