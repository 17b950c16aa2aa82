"""The SQS event: which messages to handle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a queue.

    `receives` is how often SQS has given it out, with this time. `group` is the group of a FIFO
    queue in which order matters, empty for a message of a standard queue.
    """

    id: str
    body: str
    receives: int = 1
    group: str = ""


def messages_in(event: Mapping[str, Any]) -> tuple[Message, ...]:
    """Return the messages of an SQS event. Raises ValueError when it is not one of SQS's."""
    records = event.get("Records")
    if not isinstance(records, list):
        message = f"not an SQS event: no list `Records`, only {sorted(event)}"
        raise ValueError(message)  # noqa: TRY004 (wrong data, not a wrong call)
    return tuple(_message(record) for record in records)


def _message(record: Mapping[str, Any]) -> Message:
    try:
        attributes = record["attributes"]
        # A standard queue may have groups too: they share it out fairly, and have no order.
        is_fifo = record["eventSourceARN"].endswith(".fifo")
        return Message(
            id=record["messageId"],
            body=record["body"],
            receives=int(attributes["ApproximateReceiveCount"]),
            group=attributes["MessageGroupId"] if is_fifo else "",
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # Without its body: logs are read by many.
        message = f"not an SQS record ({error!r} is wrong)"
        raise ValueError(message) from error
