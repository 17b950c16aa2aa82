// The Lambda handler: an S3 event in, each object of it handled.
//
// Structured logging, tracing and idempotency come with Powertools for AWS Lambda, if you want them:
// add `@aws-lambda-powertools/logger` and its sisters to the dependencies in package.json and run
// `python3 tasks.py lock`.
//
// A secret stays in SSM or Secrets Manager, and is read from there: scripts/docs/secrets.md has the
// module for it, and the right that the stack gives.
import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";

import { objectsIn } from "./records.mjs";

// Made with the module; the events of a warm process find it made.
const s3 = new S3Client();

/**
 * Handles the objects of an S3 event, and returns what was done with each.
 *
 * An exception makes Lambda try the whole event again, twice, and then put it into the dead-letter
 * queue; so doing an object a second time must do no harm.
 */
export async function handler(event) {
  const results = [];
  for (const place of objectsIn(event)) {
    const result = await handleObject(place, s3);
    console.log(JSON.stringify(result)); // one log line for each object
    results.push(result);
  }
  return results;
}

/** Reads one object. This is where your work begins: replace the count by it. */
export async function handleObject({ bucket, key, version }, client) {
  const request = { Bucket: bucket, Key: key, ...(version && { VersionId: version }) };
  const answer = await client.send(new GetObjectCommand(request));
  let bytes = 0;
  for await (const chunk of answer.Body) bytes += chunk.length;
  return { bucket, key, bytes };
}
