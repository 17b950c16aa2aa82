// The environment variables.
import assert from "node:assert/strict";
import { test } from "node:test";

import { settingsFrom } from "../src/settings.mjs";

const VARIABLES = {
  LOGSTASH_HOST: "logstash.example",
  LOGSTASH_PORT: "6379",
  LOG_ENVIRONMENT: "CI",
  LOG_APPLICATION: "shop",
  LOG_COMPONENT: "web",
};

test("five variables are enough", () => {
  assert.deepEqual(settingsFrom(VARIABLES), {
    host: "logstash.example",
    port: 6379,
    tls: false,
    caFile: null,
    connectTimeout: 5,
    writeTimeout: 20,
    environment: "CI",
    application: "shop",
    component: "web",
    sourceModule: "ELB",
    type: "logs",
  });
});

test("the others change one setting each", () => {
  const settings = settingsFrom({
    ...VARIABLES,
    LOGSTASH_TLS: "on",
    LOGSTASH_CA_FILE: "ca.pem",
    LOGSTASH_CONNECT_TIMEOUT: "1.5",
    LOGSTASH_WRITE_TIMEOUT: "7",
    LOG_SOURCE_MODULE: "ALB",
    LOG_TYPE: "access",
  });
  assert.deepEqual([settings.tls, settings.caFile], [true, "ca.pem"]);
  assert.deepEqual([settings.connectTimeout, settings.writeTimeout], [1.5, 7]);
  assert.deepEqual([settings.sourceModule, settings.type], ["ALB", "access"]);
});

test("one error names everything that is missing; empty is missing too", () => {
  const some = { LOGSTASH_HOST: "h", LOG_ENVIRONMENT: "CI", LOGSTASH_PORT: "" };
  assert.throws(() => settingsFrom(some), /LOGSTASH_PORT, LOG_APPLICATION, LOG_COMPONENT/);
});

for (const [name, text] of [
  ["LOGSTASH_PORT", "http"],
  ["LOGSTASH_PORT", "0"],
  ["LOGSTASH_PORT", "65536"],
  ["LOGSTASH_TLS", "perhaps"],
  ["LOGSTASH_WRITE_TIMEOUT", "0"],
  ["LOGSTASH_WRITE_TIMEOUT", "nan"],
  ["LOGSTASH_CONNECT_TIMEOUT", "soon"],
]) {
  test(`the value ${text} of ${name} is refused by name`, () => {
    const wrong = { ...VARIABLES, [name]: text };
    assert.throws(() => settingsFrom(wrong), new RegExp(`${name} is '${text}'`));
  });
}
