// The handler.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { handler } from "../src/index.mjs";

test("the sample event gets its greeting", async () => {
  const event = JSON.parse(await readFile(new URL("events/hello.json", import.meta.url), "utf8"));
  assert.deepEqual(await handler(event), { message: "Hello, Lambda!" });
});

test("without a name the world is greeted", async () => {
  assert.deepEqual(await handler({}), { message: "Hello, world!" });
});

test("a name that is not text is refused, with its value", async () => {
  await assert.rejects(handler({ name: 42 }), /42/);
});
