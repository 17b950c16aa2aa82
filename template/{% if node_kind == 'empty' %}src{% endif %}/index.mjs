// The Lambda handler.
//
// Structured logging, tracing and idempotency come with Powertools for AWS Lambda, if you want them:
// add `@aws-lambda-powertools/logger` and its sisters to the dependencies in package.json and run
// `python3 tasks.py lock`.
//
// A secret stays in SSM or Secrets Manager, and is read from there: scripts/docs/secrets.md has the
// module for it, and the right that the stack gives.

/** Greets whom the event names. Throws a TypeError when `name` is there and not text. */
export async function handler({ name = "world" }) {
  if (typeof name !== "string") throw new TypeError(`\`name\` is ${JSON.stringify(name)}, not text`);
  return { message: `Hello, ${name}!` };
}
