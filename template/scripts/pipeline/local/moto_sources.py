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
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import accumulate
from typing import Any

from moto.awslambda.exceptions import GenericResourcNotFound, InvalidParameterValueException
from moto.awslambda.models import LambdaBackend, lambda_backends
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.events.models import EventPattern, Rule
from moto.sqs.models import sqs_backends

from ..runtime.invocation import Invocation
from .moto_metrics import ThrottledError
from .patches import Original, Patches
from .strict_rules import Refusal, check_parameters

_POLL_SECONDS = 0.1
_THROTTLED_SECONDS = 0.5
# As many batches at once as AWS begins with, where the mapping does not say.
_BATCHES = 5
# What an invocation takes at most, less what stands around the records.
_BATCH_BYTES = 6_291_456 - 16
# Of a mapping's settings, what the model of the service bounds.
_OWN = {"BatchSize", "MaximumBatchingWindowInSeconds", "ScalingConfig", "FunctionResponseTypes"}
_FIFO_SIZE = 10
_SIZE_WITHOUT_WINDOW = 10
_STEPS = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


@dataclass
class _Batches:
    """What a mapping has taken from its queue: the records it gathers, and those in work."""

    records: list[dict[str, Any]] = field(default_factory=list)
    due: float = 0.0
    threads: list[threading.Thread] = field(default_factory=list)

    def next(self, size: int) -> list[dict[str, Any]]:
        """Take out the batch that is due: it is full, or the batching window is over."""
        weights = accumulate(len(json.dumps(record)) + 2 for record in self.records)
        count = sum(weight < _BATCH_BYTES for weight in weights)
        is_full = len(self.records) >= size or count < len(self.records)
        if not is_full and time.monotonic() < self.due:
            return []
        batch, self.records = self.records[: count or 1], self.records[count or 1 :]
        return batch


class Queues:
    """Takes messages out of queues in batches, as Lambda does for an event source mapping.

    What a function has processed is deleted. The rest comes again after the queue's visibility
    timeout, until its redrive policy says otherwise. `run` invokes a function and waits.
    """

    def __init__(self, run: Callable[[Any, bytes], Invocation]) -> None:
        self._run = run
        self._ended = threading.Event()
        self._batches: dict[str, _Batches] = defaultdict(_Batches)
        threading.Thread(target=self._poll, daemon=True).start()

    def close(self) -> None:
        """Take no more messages."""
        self._ended.set()

    def _poll(self) -> None:
        while not self._ended.wait(_POLL_SECONDS):
            for region in [*lambda_backends[DEFAULT_ACCOUNT_ID].values()]:
                for mapping in [*region._event_source_mappings.values()]:  # noqa: SLF001
                    if _queue(mapping):
                        _safely(self._take, mapping)

    def _take(self, mapping: Any) -> None:
        batches, queue = self._batches[mapping.uuid], _queue(mapping)
        if not mapping.enabled:
            batches.records.clear()  # not in work yet: they come again, as everything that is left
            return
        batches.threads = [thread for thread in batches.threads if thread.is_alive()]
        most = (mapping.scaling_config or {}).get("MaximumConcurrency", _BATCHES)
        if len(batches.threads) >= most:
            return
        if not batches.records:
            batches.due = time.monotonic() + (mapping.max_batch_window or 0)
        hidden, room = int(queue.visibility_timeout), mapping.batch_size - len(batches.records)
        if room > 0:
            sqs = sqs_backends[mapping.account_id][mapping.region]
            for message in sqs.receive_message(queue.name, room, 0, hidden, ["All"]):
                record = _record(message, mapping)
                if _is_wanted(record, mapping):
                    batches.records.append(record)
                else:
                    queue.delete_message(message.receipt_handle)
        if batch := batches.next(mapping.batch_size):
            work = (self._deliver, mapping, batch, time.monotonic() + hidden)
            batches.threads.append(threading.Thread(target=_safely, args=work, daemon=True))
            batches.threads[-1].start()

    def _deliver(self, mapping: Any, records: Sequence[dict[str, Any]], until: float) -> None:
        event, done = json.dumps({"Records": records}).encode(), None
        # What is throttled is tried again for as long as nobody else sees the messages.
        while done is None and time.monotonic() < until and not self._ended.is_set():
            # As it is now: an alias may have moved.
            function = lambda_backends[mapping.account_id][mapping.region].get_function(
                mapping.function_name
            )
            try:
                done = self._run(function, event)
            except ThrottledError:
                self._ended.wait(_THROTTLED_SECONDS)
        queue = _queue(mapping)
        if done is not None and queue is not None:
            sent = {record["messageId"] for record in records}
            failed = to_come_again(done, sent, mapping.function_response_types or ())
            for record in records:
                if record["messageId"] not in failed:
                    queue.delete_message(record["receiptHandle"])


def serve_sources(patches: Patches, send: Callable[[Any, bytes], object]) -> None:
    """Leave queues to `Queues`, and let rules `send` their events to functions."""
    patches.wrap(LambdaBackend, "create_event_source_mapping", _create_mapping)
    patches.wrap(LambdaBackend, "update_event_source_mapping", _update_mapping)
    patches.wrap(LambdaBackend, "delete_event_source_mapping", _delete_mapping)
    patches.wrap(Rule, "send_to_targets", partial(_send_to_targets, send))


def _queue(mapping: Any) -> Any:
    """Return moto's queue of a mapping; None for a stream, and for a queue that is gone."""
    if ":sqs:" not in mapping.event_source_arn:
        return None
    queues = sqs_backends[mapping.account_id][mapping.region].queues
    return queues.get(_last(mapping.event_source_arn))


def _last(arn: str) -> str:
    return arn.rpartition(":")[2]


def _safely(work: Callable[..., None], *arguments: Any) -> None:
    try:
        work(*arguments)
    except Exception:  # noqa: BLE001 - one bad mapping must not cost the others
        traceback.print_exc()  # into the server's log


def _create_mapping(original: Original, self: Any, spec: dict[str, Any]) -> Any:
    _as_typed(spec)
    if ":sqs:" in spec.get("EventSourceArn", ""):
        _check(spec, spec["EventSourceArn"])
        _check_new(self, spec["EventSourceArn"], self.get_function(spec["FunctionName"]))
    mapping = original(self, spec)
    if queue := _queue(mapping):
        queue.lambda_event_source_mappings.clear()  # or moto would deliver too
    return mapping


def _update_mapping(original: Original, self: Any, uuid: str, spec: dict[str, Any]) -> Any:
    _as_typed(spec)
    mapping = self.get_event_source_mapping(uuid)
    if mapping is None:
        raise GenericResourcNotFound
    if _queue(mapping):
        now = {"BatchSize": mapping.batch_size}
        now["MaximumBatchingWindowInSeconds"] = mapping.max_batch_window or 0
        _check({**now, **spec}, mapping.event_source_arn)
    original(self, uuid, spec)
    mapping.function_name = spec.get("FunctionName", mapping.function_name)
    return mapping


def _delete_mapping(original: Original, self: Any, uuid: str) -> Any:
    mapping = original(self, uuid)
    if mapping is None:
        raise GenericResourcNotFound
    return mapping


def _check_new(region: Any, source: str, function: Any) -> None:
    """Refuse a mapping that there is already, or whose queue is missing or too impatient."""
    name = function.function_name
    for other in [*region._event_source_mappings.values()]:  # noqa: SLF001
        if (other.event_source_arn, other.function_arn) == (source, function.function_arn):
            message = f'An event source mapping with SQS arn (" {source} ") and function (" {name} '
            message += '") already exists. Please update or delete the existing mapping with UUID '
            raise Refusal(409, "ResourceConflictException", message + other.uuid)
    queues: Mapping[str, Any] = sqs_backends[region.account_id][region.region_name].queues
    queue = queues.get(_last(source))
    if queue is None:
        raise InvalidParameterValueException(
            "Error occurred while ReceiveMessage. SQS Error Code: "
            "AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified queue does "
            "not exist."
        )
    hidden, least = int(queue.visibility_timeout), int(function.timeout)
    if hidden < least:
        raise InvalidParameterValueException(
            f"Queue visibility timeout: {hidden} seconds is less than "
            f"Function timeout: {least} seconds"
        )


def _check(spec: Mapping[str, Any], source: str) -> None:
    """Refuse what Lambda refuses of a queue's mapping, by its model and beyond it."""
    check_parameters("UpdateEventSourceMapping", {key: spec[key] for key in _OWN & spec.keys()})
    size, window = spec.get("BatchSize") or 0, spec.get("MaximumBatchingWindowInSeconds") or 0
    if source.endswith(".fifo") and window:
        raise InvalidParameterValueException("Batching window is not supported for FIFO queues")
    if source.endswith(".fifo") and size > _FIFO_SIZE:
        raise InvalidParameterValueException(
            f"Batch size cannot be greater than {_FIFO_SIZE} for an SQS FIFO queue."
        )
    if size > _SIZE_WITHOUT_WINDOW and not window:
        raise InvalidParameterValueException(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is "
            f"greater than {_SIZE_WITHOUT_WINDOW}"
        )


def _as_typed(spec: dict[str, Any]) -> None:
    """Read what a stack's parameters bring as text."""
    for key in {"BatchSize", "MaximumBatchingWindowInSeconds"} & spec.keys():
        spec[key] = int(spec[key])
    if most := (spec.get("ScalingConfig") or {}).get("MaximumConcurrency"):
        spec["ScalingConfig"] = {"MaximumConcurrency": int(most)}
    if isinstance(spec.get("Enabled"), str):
        spec["Enabled"] = spec["Enabled"] == "true"


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
    if header := (message.system_attributes or {}).get("AWSTraceHeader"):
        attributes["AWSTraceHeader"] = header["StringValue"]
    digest = {"md5OfMessageAttributes": message.attribute_md5} if message.message_attributes else {}
    return {
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": {key: str(value) for key, value in attributes.items() if value is not None},
        "messageAttributes": {
            name: _attribute(value) for name, value in message.message_attributes.items()
        },
        "md5OfBody": message.body_md5,
        **digest,
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


def to_come_again(done: Invocation, sent: set[str], response_types: Sequence[str]) -> set[str]:
    """Return which messages of a batch failed; a report that makes no sense says so of all."""
    if done.error:
        return sent
    if "ReportBatchItemFailures" not in response_types:
        return set()
    try:
        answer = json.loads(done.payload) or {}
        failed = {item["itemIdentifier"] for item in answer.get("batchItemFailures") or ()}
    except (AttributeError, KeyError, TypeError, ValueError):
        return sent
    return failed if failed.issubset(sent) else sent


def _send_to_targets(
    send: Callable[[Any, bytes], object],
    original: Original,
    self: Any,
    original_event: Any,
    transform_input: bool = True,
) -> None:
    # One with a schedule only has no pattern, which fits everything.
    if self.state != "ENABLED" or not self.event_pattern.get_pattern():
        return
    others, functions = copy.copy(self), list[Any]()
    others.targets = []
    for target in self.targets:
        (functions if ":lambda:" in target["Arn"] else others.targets).append(target)
    original(others, original_event, transform_input)

    def deliver(target: Mapping[str, Any]) -> None:
        region = lambda_backends[self.account_id][self.region_name]
        send(region.get_function(target["Arn"]), _input(target, original_event))

    if self.event_pattern.matches_event(original_event):
        for target in functions:
            _safely(deliver, target)


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
