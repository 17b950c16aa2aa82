// Ships files with the function in JavaScript: `node node_documents.mjs FOLDER < files.json`.
//
// A file is `{content, step, place, settings}`, its bytes in base64, given `step` at a time. For each
// there is a line with what was sent and the summary's report, or with what was thrown.
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

const folder = pathToFileURL(`${process.argv[2]}/`);
const { ship } = await import(new URL("shipping.mjs", folder));

async function shipped({ content, step, place, settings }) {
  const bytes = Buffer.from(content, "base64");
  async function* pieces() {
    const size = step ?? 16 * 1024;
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }
  const sent = [];
  const connection = { send: (data) => void sent.push(data), finish() {}, close() {} };
  const s3 = { send: async () => ({ Body: pieces(), ETag: '"0123"' }) };
  const summary = await ship([place], settings, { s3, connect: () => connection });
  return { sent: Buffer.concat(sent).toString("base64"), report: summary.report() };
}

for (const file of JSON.parse(await text(process.stdin))) {
  console.log(JSON.stringify(await shipped(file)));
}
