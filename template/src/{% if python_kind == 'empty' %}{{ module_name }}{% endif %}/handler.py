"""The Lambda handler.

Structured logging, tracing and idempotency come with AWS Lambda Powertools, if you want them:
add `aws-lambda-powertools` to the dependencies in pyproject.toml and run `python3 tasks.py lock`.

A secret stays in SSM or Secrets Manager, and is read from there: scripts/docs/secrets.md has the
module for it, and the right that the stack gives.
"""

from __future__ import annotations

from typing import Any


def handle(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Greet whom the event names. Raises ValueError when `name` is there and not text."""
    name = event.get("name", "world")
    if not isinstance(name, str):
        message = f"`name` is {name!r}, not text"
        raise ValueError(message)  # noqa: TRY004 (wrong data, not a wrong call)
    return {"message": f"Hello, {name}!"}
