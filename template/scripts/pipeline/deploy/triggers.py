"""What calls a function beside its alias, and so never meets what a deploy published."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ..core.names import LATEST
from .aws_errors import Missing, explained_errors
from .observe import Observed, listed


def off_the_alias(client: Any, function: Observed) -> list[str]:
    """Name every permission, event source and retry setting that is not on the alias.

    Raises PipelineError where they cannot be read.
    """
    name, arn, found = function.name, function.arn, []
    with suppress(Missing), explained_errors(name, "lambda:GetPolicy"):
        answer = client.get_policy(FunctionName=name)
        for statement in json.loads(answer["Policy"])["Statement"]:
            if statement["Resource"] == arn:
                principal = statement.get("Principal")
                who = principal.get("Service") if isinstance(principal, Mapping) else principal
                found.append(f"permission {statement.get('Sid', '')} of {who}")
    found += [
        f"event source {one.get('EventSourceArn') or one.get('UUID')}"
        for one in listed(client, "list_event_source_mappings", "EventSourceMappings", name)
        if one.get("FunctionArn") == arn
    ]
    method, part = "list_function_event_invoke_configs", "FunctionEventInvokeConfigs"
    retries = [one.get("FunctionArn") for one in listed(client, method, part, name)]
    if arn in retries or f"{arn}:{LATEST}" in retries:
        found.append("retry settings and destinations (EventInvokeConfig)")
    return found
