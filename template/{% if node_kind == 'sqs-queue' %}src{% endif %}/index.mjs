// The Lambda handler: an SQS event in, each message of it handled, and what failed told to SQS.
//
// Structured logging, tracing and idempotency come with Powertools for AWS Lambda, if you want them:
// add `@aws-lambda-powertools/logger` and its sisters to the dependencies in package.json and run
// `python3 tasks.py lock`.
//
// A secret stays in SSM or Secrets Manager, and is read from there: scripts/docs/secrets.md has the
// module for it, and the right that the stack gives.
import { messagesIn } from "./messages.mjs";

// Milliseconds: a message is not begun with less than that left. After a timeout all of the batch
// comes again, with what was done.
const LEAST = 1000;

/**
 * Handles the messages of an SQS event, and returns which of them failed.
 *
 * Lambda deletes the others from the queue. What failed comes again when the queue's visibility
 * timeout is over, and goes to the dead-letter queue when it has failed too often. What is thrown
 * (a TypeError: not an SQS event) would let the whole batch come again.
 */
export async function handler(event, context) {
  return processEvent(event, context, handleMessage);
}

/**
 * Does one message, and returns what to log. This is where your work begins: replace the count.
 *
 * SQS delivers at least once: what was done may come again, with the same id. Doing it a second time
 * must do no harm; README.md says how. Whatever it throws means that this message failed.
 */
export async function handleMessage({ body }) {
  const document = JSON.parse(body);
  if (typeof document !== "object" || document === null || Array.isArray(document)) {
    throw new TypeError("the body is JSON, but no object");
  }
  return { fields: Object.keys(document).length };
}

/** Does what `handler` does, with the `work` for one message given. */
export async function processEvent(event, context, work) {
  const failed = [];
  const waiting = new Set(); // groups of a FIFO queue in which a message failed
  for (const message of messagesIn(event)) {
    let result;
    if (waiting.has(message.group)) {
      // Handled now, it would have overtaken the one that comes again.
      result = { outcome: "failed", reason: "one before it in its group failed" };
    } else if (context.getRemainingTimeInMillis() < LEAST) {
      result = { outcome: "failed", reason: "no time left to begin it" };
    } else {
      result = await tried(message, work);
    }
    if (result.outcome === "failed") {
      failed.push(message.id);
      if (message.group) waiting.add(message.group);
    }
    console.log(JSON.stringify({ message: message.id, receives: message.receives, ...result }));
  }
  return { batchItemFailures: failed.map((itemIdentifier) => ({ itemIdentifier })) };
}

async function tried(message, work) {
  try {
    return { ...(await work(message)), outcome: "handled" };
  } catch (error) {
    // One bad message must not cost the others.
    return { outcome: "failed", reason: String(error), trace: error?.stack };
  }
}
