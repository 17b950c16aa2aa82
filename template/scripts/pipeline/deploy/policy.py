"""The IAM policy that a plan needs: an executor of it that calls nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from .plan import Permission, Plan


def policy(plan: Plan, afterwards: Iterable[Permission] = ()) -> str:
    """Return the smallest policy document for this plan and what is done afterwards, as JSON."""
    actions: dict[str, list[str]] = {}
    for permission in dict.fromkeys([*plan.permissions(), *afterwards]):
        actions.setdefault(permission.resource, []).append(permission.action)
    return document(
        {"Effect": "Allow", "Action": sorted(names), "Resource": resource}
        for resource, names in actions.items()
    )


def document(statements: Iterable[Mapping[str, Any]]) -> str:
    """Return the policy document that has these statements, as JSON."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, indent=2)
