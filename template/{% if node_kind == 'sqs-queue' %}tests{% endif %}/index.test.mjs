// The handler, with events as SQS sends them.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { handler, processEvent } from "../src/index.mjs";
import { messagesIn } from "../src/messages.mjs";

function context(...milliseconds) {
  return { getRemainingTimeInMillis: () => milliseconds.shift() ?? 30_000 };
}

// Each message with id and body; the first letter is the group.
function eventOf(messages, queue = "queue") {
  const Records = messages.map(([messageId, body]) => ({
    messageId,
    body,
    attributes: { ApproximateReceiveCount: "2", MessageGroupId: messageId[0] },
    eventSourceARN: `arn:aws:sqs:eu-west-1:123456789012:${queue}`,
  }));
  return { Records };
}

function failed(...names) {
  return { batchItemFailures: names.map((itemIdentifier) => ({ itemIdentifier })) };
}

test("the sample event's messages are all handled", async () => {
  const event = JSON.parse(await readFile(new URL("events/batch.json", import.meta.url), "utf8"));
  assert.equal(messagesIn(event).length, 2);
  assert.deepEqual(await handler(event, context()), failed());
});

test("a poison message costs the others nothing, and each has its line in the log", async (t) => {
  const log = t.mock.method(console, "log", () => {});
  const event = eventOf([["a1", "no JSON"], ["a2", '{"x": 1}'], ["a3", "[]"]]);
  assert.deepEqual(await handler(event, context()), failed("a1", "a3"));
  const lines = log.mock.calls.map((call) => JSON.parse(call.arguments[0]));
  assert.deepEqual(lines.map(({ outcome }) => outcome), ["failed", "handled", "failed"]);
  assert.deepEqual(lines[1], { message: "a2", receives: 2, fields: 1, outcome: "handled" });
});

test("after a failure the rest of its group of a FIFO queue is not tried", async () => {
  const tried = [];
  const work = ({ id, body }) => {
    tried.push(id);
    return JSON.parse(body);
  };
  const messages = [["a1", "no"], ["b1", "{}"], ["a2", "{}"], ["b2", "{}"]];
  const answer = await processEvent(eventOf(messages, "queue.fifo"), context(), work);
  assert.deepEqual(answer, failed("a1", "a2"));
  assert.deepEqual(tried, ["a1", "b1", "b2"]);
  assert.deepEqual(await processEvent(eventOf(messages), context(), work), failed("a1"));
});

test("what there is no time for comes again: a timeout would bring what was done as well", async () => {
  const event = eventOf([["a1", "{}"], ["a2", "{}"]]);
  assert.deepEqual(await handler(event, context(5000, 900)), failed("a2"));
});

test("an event of another service is an error, not an empty success", async () => {
  const wrong = [{}, { Records: null }, { Records: [null] }, { Records: [{ eventSource: "aws:s3" }] }];
  for (const event of wrong) await assert.rejects(handler(event, context()), /not an SQS/);
});
