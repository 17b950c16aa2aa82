"""What invokes functions besides callers and S3: queues, and rules of EventBridge.

moto would call a function while the sender of a message waits, once for each message and never
again, and knows no rule that leads to a function. Schedules are kept and never fire.
"""

from __future__ import annotations

import base64
import copy
import json
import re
import threading
import traceback
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from moto.awslambda.exceptions import InvalidParameterValueException
from moto.awslambda.models import LambdaBackend, lambda_backends
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.events.models import EventPattern, Rule
from moto.sqs.models import sqs_backends

from ..runtime.invocation import Invocation
from .patches import Patches

_POLL_SECONDS = 0.1
# As many batches at once as AWS begins with.
_BATCHES = 5
_STEPS = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


class Queues:
    """Takes messages out of queues in batches, as Lambda does for an event source mapping.

    What a function has processed is deleted. The rest comes again after the queue's visibility
    timeout, until its redrive policy says otherwise. `run` invokes a function and waits.
    """

    def __init__(self, run: Callable[[Any, bytes], Invocation]) -> None:
        self._run = run
        self._ended = threading.Event()
        self._free: dict[str, threading.Semaphore] = defaultdict(
            lambda: threading.Semaphore(_BATCHES)
        )
        threading.Thread(target=self._poll, daemon=True).start()

    def close(self) -> None:
        """Take no more messages."""
        self._ended.set()

    def _poll(self) -> None:
        while not self._ended.wait(_POLL_SECONDS):
            for region in [*lambda_backends[DEFAULT_ACCOUNT_ID].values()]:
                for mapping in [*region._event_source_mappings.values()]:  # noqa: SLF001
                    if mapping.enabled and _queue(mapping):
                        _safely(self._take, mapping)

    def _take(self, mapping: Any) -> None:
        free = self._free[mapping.uuid]
        if not free.acquire(blocking=False):
            return
        messages: list[Any] = []
        try:
            queue = _queue(mapping)
            hidden = int(queue.visibility_timeout)
            sqs = sqs_backends[mapping.account_id][mapping.region]
            messages = sqs.receive_message(queue.name, mapping.batch_size, 0, hidden, ["All"])
        finally:
            if not messages:
                free.release()
        if messages:
            work = (self._deliver, mapping, messages, free)
            threading.Thread(target=_safely, args=work, daemon=True).start()

    def _deliver(self, mapping: Any, messages: Sequence[Any], free: threading.Semaphore) -> None:
        try:
            records = [_record(message, mapping) for message in messages]
            wanted = [record for record in records if _is_wanted(record, mapping)]
            failed: set[str] = set()
            if wanted:
                event = json.dumps({"Records": wanted}).encode()
                # As it is now: an alias may have moved.
                function = lambda_backends[mapping.account_id][mapping.region].get_function(
                    mapping.function_name
                )
                done = self._run(function, event)
                failed = _failed(done, {record["messageId"] for record in wanted}, mapping)
            for message in messages:
                if message.id not in failed:
                    _queue(mapping).delete_message(message.receipt_handle)
        finally:
            free.release()


def serve_sources(patches: Patches, send: Callable[[Any, bytes], object]) -> None:
    """Leave queues to `Queues`, and let rules `send` their events to functions."""
    patches.wrap(LambdaBackend, "create_event_source_mapping", _create_mapping)
    patches.wrap(LambdaBackend, "update_event_source_mapping", _update_mapping)
    patches.wrap(Rule, "send_to_targets", lambda original: _send_to_targets(original, send))


def _queue(mapping: Any) -> Any:
    """Return moto's queue of a mapping; None for a stream, and for a queue that is gone."""
    queues = sqs_backends[mapping.account_id][mapping.region].queues
    _, _, service, _, _, name = mapping.event_source_arn.split(":", 5)
    return queues.get(name) if service == "sqs" else None


def _safely(work: Callable[..., None], *arguments: Any) -> None:
    try:
        work(*arguments)
    except Exception:  # noqa: BLE001 - one bad mapping must not cost the others
        traceback.print_exc()  # into the server's log


def _create_mapping(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_event_source_mapping(self: Any, spec: dict[str, Any]) -> Any:
        _as_number(spec)
        mapping = original(self, spec)
        queue = _queue(mapping)
        if queue:
            queue.lambda_event_source_mappings.clear()  # or moto would deliver too
            hidden = int(queue.visibility_timeout)
            least = int(self.get_function(mapping.function_name).timeout)
            if hidden < least:
                self.delete_event_source_mapping(mapping.uuid)
                raise InvalidParameterValueException(
                    f"Queue visibility timeout: {hidden} seconds is less than "
                    f"Function timeout: {least} seconds"
                )
        return mapping

    return create_event_source_mapping


def _update_mapping(original: Callable[..., Any]) -> Callable[..., Any]:
    def update_event_source_mapping(self: Any, uuid: str, spec: dict[str, Any]) -> Any:
        _as_number(spec)
        mapping = original(self, uuid, spec)
        if mapping:
            mapping.function_name = spec.get("FunctionName", mapping.function_name)
        return mapping

    return update_event_source_mapping


def _as_number(spec: dict[str, Any]) -> None:
    # A stack's parameters arrive as text.
    if "BatchSize" in spec:
        spec["BatchSize"] = int(spec["BatchSize"])


def _record(message: Any, mapping: Any) -> dict[str, Any]:
    attributes = {
        "ApproximateReceiveCount": message.approximate_receive_count,
        "SentTimestamp": message.sent_timestamp,
        "SenderId": message.sender_id,
        "ApproximateFirstReceiveTimestamp": message.approximate_first_receive_timestamp,
        "MessageGroupId": message.group_id,
        "MessageDeduplicationId": message.deduplication_id,
        "SequenceNumber": message.sequence_number,
    }
    return {
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": {key: str(value) for key, value in attributes.items() if value is not None},
        "messageAttributes": {
            name: _attribute(value) for name, value in message.message_attributes.items()
        },
        "md5OfBody": message.body_md5,
        "eventSource": "aws:sqs",
        "eventSourceARN": mapping.event_source_arn,
        "awsRegion": mapping.region,
    }


def _attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    shown = {"stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}
    if "BinaryValue" in value:
        return {**shown, "binaryValue": base64.b64encode(value["BinaryValue"]).decode()}
    return {**shown, "stringValue": value.get("StringValue", "")}


def _is_wanted(record: dict[str, Any], mapping: Any) -> bool:
    filters = (mapping.filter_criteria or {}).get("Filters", ())
    if not filters:
        return True
    try:
        body = json.loads(record["body"])
    except ValueError:
        body = record["body"]
    event: Any = {**record, "body": body}
    return any(EventPattern.load(one["Pattern"]).matches_event(event) for one in filters)


def _failed(done: Invocation, sent: set[str], mapping: Any) -> set[str]:
    """Return which messages are to come again; what makes no sense says so of all."""
    if done.error:
        return sent
    if "ReportBatchItemFailures" not in (mapping.function_response_types or ()):
        return set()
    try:
        answer = json.loads(done.payload) or {}
        failed = {item["itemIdentifier"] for item in answer.get("batchItemFailures") or ()}
    except (AttributeError, KeyError, TypeError, ValueError):
        return sent
    return failed if failed.issubset(sent) else sent


def _send_to_targets(
    original: Callable[..., None], send: Callable[[Any, bytes], object]
) -> Callable[..., None]:
    def send_to_targets(self: Any, original_event: Any, transform_input: bool = True) -> None:
        # One with a schedule only has no pattern, which fits everything.
        if self.state != "ENABLED" or not self.event_pattern.get_pattern():
            return
        others, functions = copy.copy(self), list[Any]()
        others.targets = []
        for target in self.targets:
            (functions if ":lambda:" in target["Arn"] else others.targets).append(target)
        original(others, original_event, transform_input)
        if self.event_pattern.matches_event(original_event):
            for target in functions:
                _safely(deliver, self, target, original_event)

    def deliver(rule: Any, target: Mapping[str, Any], event: Any) -> None:
        region = lambda_backends[rule.account_id][rule.region_name]
        send(region.get_function(target["Arn"]), _input(target, event))

    return send_to_targets


def _input(target: Mapping[str, Any], original: Any) -> bytes:
    """Return what a rule sends to a target: the event, a part of it, a template, or a constant."""
    if "Input" in target:
        return str(target["Input"]).encode()
    moment = datetime.fromtimestamp(float(original["time"]), UTC)
    event: dict[str, Any] = {**original, "time": f"{moment:%Y-%m-%dT%H:%M:%SZ}"}
    event.pop("ingestion-time", None)
    if transformer := target.get("InputTransformer"):
        paths = transformer.get("InputPathsMap") or {}
        values = {name: _part(event, path) for name, path in paths.items()}
        return _filled(transformer["InputTemplate"], {**values, "aws.events.event": event}).encode()
    return json.dumps(_part(event, target.get("InputPath", "$"))).encode()


def _part(event: Any, path: str) -> Any:
    """Return what a path like `$.detail.items[0]` leads to, None where it leads nowhere."""
    for name, index in _STEPS.findall(path):
        try:
            event = event[int(index) if index else name]
        except (IndexError, KeyError, TypeError):
            return None
    return event


def _filled(template: str, values: Mapping[str, Any]) -> str:
    """Put values into a template: as JSON, or inside of a text as a part of it."""
    filled = ""
    for text, name in re.findall(r"([^<]*)(?:<([^<>]*)>|\Z)", template):
        filled += text
        if name:
            value = values.get(name)
            shown = value if isinstance(value, str) else json.dumps(value)
            in_text = (filled.count('"') - filled.count('\\"')) % 2
            filled += json.dumps(shown)[1:-1] if in_text else json.dumps(value)
    return filled
