"""The Lambda handler: an SQS event in, each message of it handled, and what failed told to SQS.

Structured logging, tracing and idempotency come with AWS Lambda Powertools, if you want them:
add `aws-lambda-powertools` to the dependencies in pyproject.toml and run `python3 tasks.py lock`.

A secret stays in SSM or Secrets Manager, and is read from there: scripts/docs/secrets.md has the
module for it, and the right that the stack gives.
"""

from __future__ import annotations

import json
import traceback
from typing import TYPE_CHECKING, Any, Protocol

from .messages import Message, messages_in

if TYPE_CHECKING:
    from collections.abc import Callable

# Milliseconds: a message is not begun with less than that left. After a timeout all of the batch
# comes again, with what was done.
_LEAST = 1000


class Context(Protocol):
    """What is needed of the context that Lambda passes."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds up to the function's timeout."""
        ...


def handle(event: dict[str, Any], context: Context) -> dict[str, list[dict[str, str]]]:
    """Handle the messages of an SQS event, and return which of them failed.

    Lambda deletes the others from the queue. What failed comes again when the queue's visibility
    timeout is over, and goes to the dead-letter queue when it has failed too often. An exception
    (ValueError: not an SQS event) would let the whole batch come again.
    """
    return process(event, context, handle_message)


def handle_message(message: Message) -> dict[str, Any]:
    """Do one message, and return what to log. This is where your work begins: replace the count.

    SQS delivers at least once: what was done may come again, with the same id. Doing it a second
    time must do no harm; README.md says how. An exception means that this message failed.
    """
    document = json.loads(message.body)
    if not isinstance(document, dict):
        text = f"the body is JSON, but no object: {type(document).__name__}"
        raise TypeError(text)
    return {"fields": len(document)}


def process(
    event: dict[str, Any], context: Context, work: Callable[[Message], dict[str, Any]]
) -> dict[str, list[dict[str, str]]]:
    """Do what `handle` does, with `work` for one message given."""
    failed: list[str] = []
    waiting: set[str] = set()  # groups of a FIFO queue in which a message failed
    for message in messages_in(event):
        if message.group in waiting:
            # Handled now, it would have overtaken the one that comes again.
            result = {"outcome": "failed", "reason": "one before it in its group failed"}
        elif context.get_remaining_time_in_millis() < _LEAST:
            result = {"outcome": "failed", "reason": "no time left to begin it"}
        else:
            result = _tried(message, work)
        if result["outcome"] == "failed":
            failed.append(message.id)
            waiting |= {message.group} - {""}
        line = {"message": message.id, "receives": message.receives, **result}
        print(json.dumps(line, default=str))
    return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}


def _tried(message: Message, work: Callable[[Message], dict[str, Any]]) -> dict[str, Any]:
    try:
        return {**work(message), "outcome": "handled"}
    except Exception as error:  # noqa: BLE001 (one bad message must not cost the others)
        return {"outcome": "failed", "reason": repr(error), "trace": traceback.format_exc()}
