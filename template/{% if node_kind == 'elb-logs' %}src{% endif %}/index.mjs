// The Lambda handler: an S3 event in, the lines of its objects out to Logstash.
//
// Structured logging, tracing and idempotency come with Powertools for AWS Lambda, if you want them:
// add `@aws-lambda-powertools/logger` and its sisters to the dependencies in package.json and run
// `python3 tasks.py lock`.
//
// A secret stays in SSM or Secrets Manager, and is read from there: scripts/docs/secrets.md has the
// module for it, and the right that the stack gives.
import { S3Client } from "@aws-sdk/client-s3";

import { connect } from "./logstash.mjs";
import { objectsIn } from "./records.mjs";
import { SettingsError, settingsFrom } from "./settings.mjs";
import { ship } from "./shipping.mjs";
import { Summary, summaryLine } from "./summary.mjs";

// Kept of the function's time, in milliseconds, or nobody would learn how far it got.
const FOR_THE_SUMMARY = 1000;

// Made with the module; the events of a warm process find it made.
const s3 = new S3Client({ requestHandler: { connectionTimeout: 5_000, socketTimeout: 20_000 } });

/** Something was not read or not sent, so that Lambda must try the event again. */
export class NotAllSentError extends Error {
  name = "NotAllSentError";
}

/**
 * Ships the objects of an S3 event; returns the summary, which is logged as well.
 *
 * Throws NotAllSentError, SettingsError or TypeError (not an S3 event).
 */
export async function handler(event, context) {
  const settings = settingsFrom(process.env);
  const name = process.env.AWS_LAMBDA_FUNCTION_NAME ?? "local";
  const left = context.getRemainingTimeInMillis() - FOR_THE_SUMMARY;
  return processEvent(event, settings, { s3, name, deadline: performance.now() + left });
}

/**
 * Does what `handler` does, with the settings, S3 and the function's name given.
 *
 * Nothing is sent after `deadline`, a time of `performance.now`. `log` takes the summary's line.
 */
export async function processEvent(event, settings, given) {
  // Not by `console`, which puts a date before it: CloudWatch makes metrics of plain JSON only.
  const write = (line) => process.stdout.write(`${line}\n`);
  const { s3, name, deadline = Infinity, log = write } = given;
  const dimensions = { FunctionName: name, Environment: settings.environment };
  const objects = objectsIn(event);
  let summary;
  try {
    summary = await ship(objects, settings, { s3, connect: () => connect(settings, deadline) });
  } catch (error) {
    if (error instanceof SettingsError) {
      log(summaryLine(Summary.ofFailure(error.message), dimensions, Date.now()));
    }
    throw error;
  }
  log(summaryLine(summary, dimensions, Date.now()));
  if (!summary.isComplete) {
    const reasons = [...summary.reading.lastFew, ...summary.sending.lastFew].join("; ");
    const counts = `${summary.failed} of ${summary.encountered} lines`;
    throw new NotAllSentError(`${counts} not sent: ${reasons}`);
  }
  return summary.report();
}
