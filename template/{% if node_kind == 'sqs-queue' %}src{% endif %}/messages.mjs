// The SQS event: which messages to handle.

/**
 * Returns the messages of an SQS event as `{id, body, receives, group}`.
 *
 * `receives` is how often SQS has given it out, with this time. `group` is the group of a FIFO queue
 * in which order matters, empty for a message of a standard queue. Throws a TypeError when the event
 * is not one of SQS's.
 */
export function messagesIn(event) {
  if (!Array.isArray(event?.Records)) {
    throw new TypeError(`not an SQS event: no list \`Records\`, only ${Object.keys(event ?? {})}`);
  }
  return event.Records.map(message);
}

function message(record) {
  const { messageId: id, body, attributes, eventSourceARN: arn } = record ?? {};
  const receives = Number(attributes?.ApproximateReceiveCount);
  // A standard queue may have groups too: they share it out fairly, and have no order.
  const group = arn?.endsWith(".fifo") ? attributes?.MessageGroupId : "";
  if (!id || typeof body !== "string" || !receives || !arn || group === undefined) {
    // Without its body: logs are read by many.
    throw new TypeError(`not an SQS record: it has only ${Object.keys(record ?? {})}`);
  }
  return { id, body, receives, group };
}
