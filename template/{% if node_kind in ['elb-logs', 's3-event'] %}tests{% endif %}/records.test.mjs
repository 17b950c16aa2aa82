// S3 events, as S3 sends them.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { objectsIn } from "../src/records.mjs";

function record(key, entry = {}) {
  const s3 = { bucket: { name: "logs" }, object: { key, ...entry } };
  return { eventName: "ObjectCreated:Put", s3 };
}

test("the sample event names one object", async () => {
  const event = JSON.parse(await readFile(new URL("events/put.json", import.meta.url), "utf8"));
  assert.deepEqual(objectsIn(event).map(({ bucket }) => bucket), ["example-bucket"]);
});

test("an event may name several objects", () => {
  const found = objectsIn({ Records: [record("b"), record("a", { versionId: "3" })] });
  assert.deepEqual(found, [
    { bucket: "logs", key: "b", version: "" },
    { bucket: "logs", key: "a", version: "3" },
  ]);
});

test("keys are decoded: S3 writes them as forms do, plus for a space, percent for the rest", () => {
  const [place] = objectsIn({ Records: [record("a+b%2Bc%3Dd%C3%A9/e%20f")] });
  assert.equal(place.key, "a b+c=dé/e f");
});

test("S3's own test event, and events of objects that are gone, give nothing to read", () => {
  const removal = { ...record("a"), eventName: "ObjectRemoved:Delete" };
  assert.deepEqual(objectsIn({ Event: "s3:TestEvent", Bucket: "logs" }), []);
  assert.deepEqual(objectsIn({ Records: [removal] }), []);
});

test("an event of another service is an error, not an empty success", () => {
  const wrong = [{}, { Records: null }, { Records: [{ s3: null }] }, { Records: [{ s3: {} }] }];
  for (const event of [...wrong, { Records: [record("a%ff")] }]) {
    assert.throws(() => objectsIn(event), /not an S3/);
  }
});
