// From S3 to a listener: what arrives, and what is said when not all of it does.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";

import { NotAllSentError, processEvent } from "../src/index.mjs";
import { connect } from "../src/logstash.mjs";
import { settingsFrom } from "../src/settings.mjs";
import { ship } from "../src/shipping.mjs";
import {
  chatter,
  closeEarly,
  closeUnread,
  neverClose,
  readAll,
  resetAfter,
  stall,
  trickle,
  withListener,
} from "./listener.mjs";

const LINE =
  "2014-03-01T08:15:30.123456Z shop 203.0.113.7:40001 10.1.2.3:8080 " +
  '0.000073 0.251048 0.0006 200 404 12 3456 "GET http://shop.example:80/cart HTTP/1.1" "curl"';
const EVENT = { Records: [{ s3: { bucket: { name: "logs" }, object: { key: "a+key" } } }] };
const MANY = 5_000;
const PLACE = { bucket: "logs", key: "a key", version: "" };
const MANY_LINES = { "a key": `${LINE}\n`.repeat(MANY) };

/** Returns S3 with objects in memory; null is an object that S3 refuses to give. */
function storage(objects) {
  return {
    async send({ input }) {
      const content = objects[input.Key];
      if (content === null) throw new Error("Access Denied");
      return { Body: [Buffer.from(content)], ETag: '"0123"' };
    },
  };
}

function settings(port, more = {}) {
  return settingsFrom({
    LOGSTASH_HOST: "127.0.0.1",
    LOGSTASH_PORT: String(port),
    LOGSTASH_CONNECT_TIMEOUT: "2",
    LOGSTASH_WRITE_TIMEOUT: "5",
    LOG_ENVIRONMENT: "CI",
    LOG_APPLICATION: "shop",
    LOG_COMPONENT: "web",
    ...more,
  });
}

async function shipped(listener, objects, { places = [PLACE], more = {} } = {}) {
  const chosen = settings(listener.port, more);
  return ship(places, chosen, { s3: storage(objects), connect: () => connect(chosen) });
}

/** Processes the event, and returns what was thrown and the summary that was logged. */
async function failed(port, objects, { more = {}, ...given } = {}) {
  const logged = [];
  const work = processEvent(EVENT, settings(port, more), {
    s3: storage(objects),
    name: "CI-Logs",
    log: (line) => logged.push(JSON.parse(line)),
    ...given,
  });
  const error = await work.then(() => assert.fail("it did not fail"), (thrown) => thrown);
  assert.equal(logged.length, 1);
  return { error, summary: logged[0] };
}

test("a line arrives with its fields, its source and the settings' constants", async () => {
  await withListener([readAll], async (listener) => {
    const summary = await shipped(listener, { "a key": LINE });
    const [document] = listener.documents();
    assert.equal(document.message, LINE);
    assert.equal(document.Path, "/cart");
    const { Environment, Application, Component, SourceModuleName, type } = document;
    assert.deepEqual([Environment, Application, Component], ["CI", "shop", "web"]);
    assert.deepEqual([SourceModuleName, type], ["ELB", "logs"]);
    assert.deepEqual(document.Source, { S3: { Bucket: "logs", Key: "a key" } });
    assert.ok(summary.isComplete);
  });
});

test("a line that cannot be parsed is counted and sent as it is; empty lines are none", async () => {
  await withListener([readAll], async (listener) => {
    const summary = await shipped(listener, { "a key": `${LINE}\n\nwhat "is\tthis\n${LINE}` });
    const documents = listener.documents();
    assert.deepEqual(documents.map(({ message }) => message), [LINE, 'what "is\tthis', LINE]);
    assert.match(documents[1].ParseError, /neither/);
    assert.deepEqual([summary.encountered, summary.parsed, summary.sent], [3, 2, 3]);
    assert.match(summary.parsing.lastFew[0], /line 3/);
  });
});

test("a quote that is open at a line's end goes on in the next lines", async () => {
  const folded = LINE.replace('"curl', '"curl\n\n   libcurl');
  const open = LINE.slice(0, -1);
  await withListener([readAll], async (listener) => {
    await shipped(listener, { "a key": `${open}\n${LINE}\n${folded}\n${LINE}` });
    const messages = listener.documents().map(({ message }) => message);
    assert.deepEqual(messages, [open, LINE, folded, LINE]);
  });
});

test("the same line of the same content has the same id each time, another line another", async () => {
  async function ids(version) {
    return withListener([readAll], async (listener) => {
      const places = [{ ...PLACE, version }];
      await shipped(listener, { "a key": `${LINE}\nmalformed\n${LINE}` }, { places });
      return listener.documents().map(({ id }) => id);
    });
  }
  const first = await ids("");
  assert.deepEqual(await ids(""), first);
  assert.equal(new Set([...first, ...(await ids("v2"))]).size, 6);
});

test("an unreadable object fails the invocation, after the others were sent", async () => {
  const keys = ["secret", "damaged", "good"];
  const places = keys.map((key) => ({ ...PLACE, key }));
  const damaged = Buffer.from("\x1f\x8bnot gzip", "latin1");
  await withListener([readAll], async (listener) => {
    const summary = await shipped(listener, { secret: null, damaged, good: LINE }, { places });
    assert.equal(listener.received.length, 1);
    assert.equal(listener.documents().length, 1);
    assert.match(summary.reading.lastFew[0], /s3:\/\/logs\/secret/);
    assert.match(summary.reading.lastFew[1], /damaged gzip/);
    assert.ok(!summary.isComplete);
  });
});

test("an event without objects is done at once", async () => {
  assert.ok((await shipped({ port: 1 }, {}, { places: [] })).isComplete);
});

for (const half of [1, 100_000, 2_000_000]) {
  test(`all is sent again over a second connection when one breaks after ${half}`, async () => {
    await withListener([resetAfter(half), readAll], async (listener) => {
      const summary = await shipped(listener, MANY_LINES);
      assert.equal(new Set(listener.documents().map(({ id }) => id)).size, MANY);
      assert.deepEqual([summary.encountered, summary.sent, summary.sending.total], [MANY, MANY, 1]);
      assert.ok(summary.isComplete);
    });
  });
}

const misbehaviours = { stall, trickle, closeEarly, neverClose, chatter, reset: resetAfter(100_000) };
for (const [name, behaviour] of Object.entries(misbehaviours)) {
  test(`nothing counts as sent without a clean end, tried twice: ${name}`, async () => {
    await withListener([behaviour], async (listener) => {
      const began = performance.now();
      const more = { LOGSTASH_WRITE_TIMEOUT: "0.2" };
      const summary = await shipped(listener, MANY_LINES, { more });
      assert.ok(performance.now() - began < 5000);
      assert.equal(listener.received.length, 2);
      assert.deepEqual([summary.sent, summary.sending.total], [0, 2]);
      assert.ok(summary.failed === summary.encountered && summary.failed > 0);
    });
  });
}

test("a listener that ends its side while data is on the way has not read to our end", async () => {
  await withListener([closeUnread], async (listener) => {
    const connection = await connect(settings(listener.port));
    await connection.send(Buffer.alloc(1_000_000));
    await assert.rejects(connection.finish(), /closed it before/);
    connection.close();
  });
});

test("without a listener the handler throws, so that Lambda tries again, and says where", async () => {
  const port = await withListener([readAll], async (listener) => listener.port);
  const { error, summary } = await failed(port, { "a key": LINE });
  assert.ok(error instanceof NotAllSentError);
  assert.match(error.message, new RegExp(`127.0.0.1:${port}`));
  assert.equal(summary.failures.sending.total, 2);
});

for (const behaviour of [trickle, chatter]) {
  test(`a listener that keeps going a little is left at the deadline: ${behaviour.name}`, async () => {
    await withListener([behaviour], async (listener) => {
      const more = { LOGSTASH_WRITE_TIMEOUT: "60" };
      const deadline = performance.now() + 300;
      const { error, summary } = await failed(listener.port, MANY_LINES, { more, deadline });
      assert.match(error.message, /no time left/);
      assert.ok(performance.now() >= deadline && performance.now() < deadline + 5000);
      assert.equal(summary.lines.failed, summary.lines.encountered);
      assert.ok(summary.lines.failed > 0);
    });
  });
}

test("a certificate authority that cannot be read is named once, with a summary", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "authority-"));
  const wrong = path.join(folder, "wrong.pem");
  await writeFile(wrong, "no certificate");
  for (const file of [path.join(folder, "missing.pem"), wrong]) {
    const more = { LOGSTASH_TLS: "on", LOGSTASH_CA_FILE: file };
    const { error, summary } = await failed(1, { "a key": LINE }, { more });
    assert.match(error.message, /LOGSTASH_CA_FILE is/);
    assert.equal(summary.LinesSent, 0);
    assert.match(summary.failures.sending.lastFew[0], /LOGSTASH_CA_FILE/);
  }
  await rm(folder, { recursive: true });
});
