// Lines of both formats, as load balancers write them, and lines that are in neither.
import assert from "node:assert/strict";
import { test } from "node:test";

import { jsonMembers, MalformedLineError } from "../src/parse.mjs";

const TWELVE =
  "2014-03-01T08:15:30.123456Z shop 203.0.113.7:40001 10.1.2.3:8080 " +
  '0.000073 0.251048 0.0006 200 404 12 3456 "GET http://shop.example:80/cart?id=7 HTTP/1.1"';
const THIRTEEN = `${TWELVE} "curl/8.5.0"`;
const FIFTEEN = `${THIRTEEN} ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2`;
const APPLICATION =
  "h2 2026-02-03T04:05:06.789012Z app/shop/50dc6c495c0c9188 203.0.113.7:40001 10.1.2.3:8080 " +
  '0.001 0.020 0.000 200 201 34 366 "POST https://shop.example:443/orders HTTP/2.0" ' +
  '"curl/8.5.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.3 arn:aws:elasticloadbalancing:example ' +
  '"Root=1-58337262-36d228ad5d99923122bbe354" "shop.example" "arn:aws:acm:example" 3 ' +
  '2026-02-03T04:05:06.750000Z "waf,forward" "-" "-" "10.1.2.3:8080" "201" "-" "-" TID_1234';

function fields(line) {
  return JSON.parse(`{${jsonMembers(line)}}`);
}

test("each column of a classic line becomes one field, times in whole milliseconds", () => {
  assert.deepEqual(fields(FIFTEEN), {
    "@timestamp": "2014-03-01T08:15:30.123456Z",
    LoadBalancerName: "shop",
    PublicIpAndPort: "203.0.113.7:40001",
    InternalIpAndPort: "10.1.2.3:8080",
    Status: "200",
    BackendStatus: "404",
    BytesUploadedFromClient: 12,
    BytesDownloadedByClient: 3456,
    Verb: "GET",
    Path: "/cart",
    UserAgent: "curl/8.5.0",
    TimeToForwardRequest: 0,
    TimeTaken: 251,
    TimeToForwardResponse: 1,
    message: FIFTEEN,
  });
});

test("an application line has its type and what stands after the agent, but no hyphens", () => {
  const found = fields(APPLICATION);
  assert.equal(found.RequestType, "h2");
  assert.equal(found.TraceId, "Root=1-58337262-36d228ad5d99923122bbe354");
  assert.equal(found.ActionsExecuted, "waf,forward");
  assert.equal(found.ConnectionTraceId, "TID_1234");
  assert.ok(!("RedirectUrl" in found) && !("Classification" in found));
});

test("a classic line has 12 to 15 columns", () => {
  for (const line of [TWELVE, THIRTEEN, FIFTEEN]) assert.equal(fields(line).Path, "/cart");
  assert.throws(() => jsonMembers(`${FIFTEEN} one`), /16 columns/);
});

test("a time of -1 is left out, and a request that is none has no verb", () => {
  const line = TWELVE.replace("0.251048", "-1").replace(/"GET.*"/, '"-"');
  const found = fields(line);
  assert.ok(!("TimeTaken" in found) && !("Verb" in found));
});

test("escaped quotes are quotes, and the message stays the line", () => {
  const line = TWELVE + String.raw` "a \"quoted\" agent"`;
  assert.equal(fields(line).UserAgent, 'a "quoted" agent');
  assert.equal(fields(line).message, line);
});

test("what is in neither format is refused, with its look", () => {
  for (const line of ["", "what is this", TWELVE.slice(0, -1), `${THIRTEEN} "open`, `${TWELVE}x`]) {
    assert.throws(() => jsonMembers(line), MalformedLineError);
  }
});

test("a line made to confuse takes no longer than another", () => {
  const began = performance.now();
  for (const piece of ['\\" ', '" "', '\\"', "a ", " HTTP/1", "a://", "? "]) {
    for (const line of [piece.repeat(20_000), THIRTEEN + piece.repeat(20_000)]) {
      try {
        jsonMembers(line);
      } catch (error) {
        assert.ok(error instanceof MalformedLineError);
      }
    }
  }
  assert.ok(performance.now() - began < 2000);
});
