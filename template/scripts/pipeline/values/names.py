"""The naming convention: one function makes the name of every function and stack."""

from __future__ import annotations

import re

from ..errors import PipelineError

__all__ = ["resource_name"]

_LAMBDA_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_STACK_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*\Z")


def resource_name(environment: str, function: str) -> str:
    """Return `{environment}-{function}`, the name of the Lambda function and of its stack.

    Raises PipelineError for a name that Lambda (64 of `A-Za-z0-9_-`) or CloudFormation
    (a letter, then `A-Za-z0-9-`) would refuse.
    """
    name = f"{environment}-{function}"
    if not _LAMBDA_NAME.match(name):
        raise PipelineError(
            "function name",
            f"Lambda refuses {name!r} ({len(name)} characters)",
            "A name has at most 64 characters out of A-Z, a-z, 0-9, - and _, environment included.",
        )
    if not _STACK_NAME.match(name):
        raise PipelineError(
            "stack name",
            f"CloudFormation refuses {name!r}",
            "A stack's name starts with a letter and has only letters, digits and hyphens.",
        )
    return name
