// The handler, with S3 in memory.
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";

import { handleObject, handler } from "../src/index.mjs";

class Storage {
  requests = [];

  async send(command) {
    this.requests.push(command.input);
    return { Body: Readable.from([Buffer.from("con"), Buffer.from("tent")]) };
  }
}

test("an object is read to its end, in the version that the event names", async () => {
  const storage = new Storage();
  const place = { bucket: "bucket", key: "a key", version: "3" };
  assert.deepEqual(await handleObject(place, storage), { bucket: "bucket", key: "a key", bytes: 7 });
  assert.deepEqual(storage.requests, [{ Bucket: "bucket", Key: "a key", VersionId: "3" }]);
});

test("no version is asked for where there is none", async () => {
  const storage = new Storage();
  await handleObject({ bucket: "bucket", key: "key", version: "" }, storage);
  assert.deepEqual(storage.requests, [{ Bucket: "bucket", Key: "key" }]);
});

test("S3's test event, sent when the notification is set up, is answered without reading", async () => {
  assert.deepEqual(await handler({ Event: "s3:TestEvent" }), []);
});
