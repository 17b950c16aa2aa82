// What the handler logs and returns.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { handler, processEvent } from "../src/index.mjs";
import { settingsFrom } from "../src/settings.mjs";
import { Summary, summaryLine } from "../src/summary.mjs";
import { readAll, withListener } from "./listener.mjs";

test("the summary is one JSON line, which is CloudWatch metrics too, and the answer", async () => {
  const file = new URL("events/put.json", import.meta.url);
  const event = JSON.parse(await readFile(file, "utf8"));
  const logged = [];
  const answer = await withListener([readAll], async ({ port }) => {
    const settings = settingsFrom({
      LOGSTASH_HOST: "127.0.0.1",
      LOGSTASH_PORT: String(port),
      LOG_ENVIRONMENT: "CI",
      LOG_APPLICATION: "shop",
      LOG_COMPONENT: "web",
    });
    const s3 = { send: async () => ({ Body: [Buffer.from("one\ntwo\n")], ETag: '"0123"' }) };
    const log = (line) => logged.push(line);
    return processEvent(event, settings, { s3, name: "CI-Logs", log });
  });
  assert.deepEqual(answer.lines, { encountered: 2, parsed: 0, sent: 2, failed: 0 });
  assert.equal(answer.failures.parsing.total, 2);
  const { lines, failures } = JSON.parse(logged[0]);
  assert.deepEqual({ lines, failures }, answer);
});

test("each metric and dimension that the line declares is a member of it", () => {
  const summary = Object.assign(new Summary(), { encountered: 3, sent: 2 });
  const logged = JSON.parse(summaryLine(summary, { FunctionName: "CI-Logs" }, 12_500.7));
  const [directive] = logged._aws.CloudWatchMetrics;
  assert.equal(logged._aws.Timestamp, 12_500);
  assert.deepEqual(directive.Dimensions, [["FunctionName"]]);
  const values = directive.Metrics.map(({ Name }) => [Name, logged[Name]]);
  assert.deepEqual(Object.fromEntries(values), {
    LinesEncountered: 3,
    LinesParsed: 3,
    LinesSent: 2,
    LinesFailed: 1,
  });
});

test("a hundred failures are counted, and the last ten explained", () => {
  const summary = new Summary();
  for (let number = 0; number < 100; number += 1) summary.parsing.add(`reason ${number}`);
  const { total, lastFew } = summary.report().failures.parsing;
  assert.deepEqual([total, lastFew.length, lastFew[0]], [100, 10, "reason 90"]);
});

test("without its variables the function fails at once and names them", async () => {
  const context = { getRemainingTimeInMillis: () => 30_000 };
  await assert.rejects(handler({ Records: [] }, context), /LOGSTASH_HOST/);
});
