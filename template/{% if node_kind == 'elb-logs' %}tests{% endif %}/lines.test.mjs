// Files as S3 hands them out: plain or gzip, whole or damaged.
import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import { readLines } from "../src/lines.mjs";

const TEXT = Array.from({ length: 50_000 }, (_, number) => `line ${number} é\n`).join("");

async function pieces(content, step = 16 * 1024) {
  async function* body() {
    for (let at = 0; at < content.length; at += step) yield content.subarray(at, at + step);
  }
  return Array.fromAsync ? Array.fromAsync(readLines(body())) : collected(readLines(body()));
}

async function collected(iterable) {
  const all = [];
  for await (const one of iterable) all.push(one);
  return all;
}

async function lines(content, step) {
  return (await pieces(content, step)).flat().filter(Boolean);
}

const STORED = {
  plain: Buffer.from(TEXT),
  "no last line end": Buffer.from(TEXT.slice(0, -1)),
  CRLF: Buffer.from(TEXT.replaceAll("\n", "\r\n")),
  gzip: gzipSync(TEXT),
  "two gzip members": Buffer.concat([gzipSync(TEXT.slice(0, 1000)), gzipSync(TEXT.slice(1000))]),
  "zeros after gzip": Buffer.concat([gzipSync(TEXT), Buffer.alloc(100_000)]),
};
for (const [name, content] of Object.entries(STORED)) {
  test(`lines are the same however they are stored: ${name}`, async () => {
    assert.deepEqual(await lines(content), TEXT.split("\n").slice(0, -1));
  });
}

test("an empty file has no lines", async () => {
  for (const content of ["", "\n\n"]) assert.deepEqual(await lines(Buffer.from(content)), []);
  assert.deepEqual(await lines(gzipSync("")), []);
});

test("a file too short to be gzip is plain", async () => {
  assert.deepEqual(await lines(Buffer.from("x")), ["x"]);
});

test("other characters that Unicode calls line ends are part of the line", async () => {
  const text = "a\u2028b\x0bc\x85d";
  assert.deepEqual(await lines(Buffer.from(`${text}\n`)), [text]);
});

test("what is not UTF-8 is kept readable", async () => {
  assert.deepEqual(await lines(Buffer.from("caf\xe9\n", "latin1")), ["caf\\xe9"]);
});

for (const start of ["", "x", "xy", "é"]) {
  test(`a file without line ends comes in pieces of whole characters, after '${start}'`, async () => {
    const text = start + "é€🛒\r".repeat(500_000);
    const found = await lines(Buffer.from(`${text}x\n`), 64 * 1024);
    assert.equal(found.join(""), `${text}x`);
    assert.ok(Math.max(...found.map((piece) => Buffer.byteLength(piece))) <= 1024 * 1024);
  });
}

test("a small object with very many lines does not fill the memory", async () => {
  const found = await pieces(gzipSync("x\n".repeat(3_000_000)));
  assert.equal(found.flat().length, 3_000_000);
  assert.ok(Math.max(...found.map((some) => some.length)) <= 128 * 1024);
});

for (const cut of [10, 20, 1000, -1]) {
  test(`half a gzip file is not taken for a whole one: cut at ${cut}`, async () => {
    await assert.rejects(lines(gzipSync(TEXT).subarray(0, cut)), /cut short/);
  });
}

test("zeros fill a block; anything else is no part of a gzip file", async () => {
  const more = [gzipSync(TEXT), Buffer.alloc(100), Buffer.from("more")];
  await assert.rejects(lines(Buffer.concat(more)), /after the gzip data/);
});

test("damaged data is not shipped as if it were text", async () => {
  const content = gzipSync(TEXT);
  content.fill(0, 500, 510);
  await assert.rejects(lines(content), /damaged/);
});
