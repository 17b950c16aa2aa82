// From S3 objects to JSON lines on a connection.
import { createHash } from "node:crypto";

import { GetObjectCommand } from "@aws-sdk/client-s3";

import { lastLine } from "./entries.mjs";
import { readLines } from "./lines.mjs";
import { ConnectionLostError } from "./logstash.mjs";
import { jsonMembers, MalformedLineError } from "./parse.mjs";
import { Summary } from "./summary.mjs";

const CONNECTIONS = 2; // the first, and one more when it breaks

/** An object could not be read to its end. */
class UnreadableError extends Error {
  name = "UnreadableError";
}

/**
 * Sends every line of the objects over one connection, and says what became of them.
 *
 * Nothing tells which lines a broken connection still delivered. So when it breaks, all of them are
 * read and sent again over a second one, each with the same id as before. `connect` makes one.
 */
export async function ship(objects, settings, { s3, connect }) {
  let summary = new Summary();
  if (!objects.length) {
    summary.endCleanly();
    return summary;
  }
  for (let tried = 0; tried < CONNECTIONS; tried += 1) {
    const attempt = new Summary(summary.sending);
    let connection;
    try {
      connection = await connect();
      for await (const batch of batches(objects, settings, s3, attempt)) {
        await connection.send(batch);
      }
      await connection.finish();
      attempt.endCleanly();
      return attempt;
    } catch (error) {
      if (!(error instanceof ConnectionLostError)) throw error;
      summary.sending.add(error.message);
      if (attempt.encountered >= summary.encountered) summary = attempt;
    } finally {
      connection?.close();
    }
  }
  return summary;
}

/** Yields JSON lines, some hundred at a time; an unreadable object does not stop the others. */
async function* batches(objects, settings, s3, summary) {
  for (const place of objects) {
    try {
      yield* batchesOf(place, settings, s3, summary);
    } catch (error) {
      if (!(error instanceof UnreadableError)) throw error;
      summary.reading.add(`s3://${place.bucket}/${place.key}: ${error.message}`);
    }
  }
}

async function* batchesOf(place, settings, s3, summary) {
  const answer = await opened(place, s3);
  const start = `{"id":"${idStem(place, answer)}-`;
  const end = `,${constants(place, settings)}}\n`;
  let first = 1;
  let lines = [];
  for await (const more of andTheEnd(answer.Body)) {
    lines = lines.length ? lines.concat(more.lines) : more.lines;
    let done = lines.length;
    let text = "";
    for (let index = 0; index < done; index += 1) {
      const line = lines[index];
      if (!line) continue;
      let members;
      try {
        members = jsonMembers(line);
      } catch (error) {
        if (!(error instanceof MalformedLineError)) throw error;
        const last = lastLine(lines, index);
        if (last === null && !more.isEnd) {
          done = index; // an entry whose end comes with the next lines
          break;
        }
        members = last === null ? "" : takenTogether(lines, index, last);
        if (!members) {
          const where = `s3://${place.bucket}/${place.key} line ${first + index}`;
          summary.parsing.add(`${where}: ${error.message}`);
          const raw = { message: line, ParseError: error.message };
          members = JSON.stringify(raw).slice(1, -1);
        }
      }
      summary.encountered += 1;
      text += `${start}${first + index}",${members}${end}`;
    }
    first += done;
    lines = lines.slice(done);
    if (text) yield bytesOf(text);
    if (more.error) throw more.error;
  }
}

/** Does what `Buffer.from` does in half the time: room for the longest text spares counting its bytes. */
function bytesOf(text) {
  const room = Buffer.allocUnsafe(text.length * 3);
  return room.subarray(0, room.write(text));
}

async function opened({ bucket, key, version }, s3) {
  const request = { Bucket: bucket, Key: key, ...(version && { VersionId: version }) };
  try {
    return await s3.send(new GetObjectCommand(request));
  } catch (error) {
    throw new UnreadableError(error.message, { cause: error });
  }
}

/** Yields the lines of a body as `{lines, isEnd, error}`: its end too when reading broke off. */
async function* andTheEnd(body) {
  let error;
  try {
    for await (const lines of readLines(body)) yield { lines, isEnd: false };
  } catch (cause) {
    error = new UnreadableError(cause.message, { cause });
  }
  yield { lines: [], isEnd: true, error };
}

/**
 * Returns the members of one entry of several lines, and empties all but its first line.
 *
 * Nothing is returned, and nothing changed, when they make no entry.
 */
function takenTogether(lines, first, last) {
  if (first === last) return "";
  try {
    const members = jsonMembers(lines.slice(first, last + 1).join("\n"));
    lines.fill("", first + 1, last + 1);
    return members;
  } catch (error) {
    if (!(error instanceof MalformedLineError)) throw error;
    return "";
  }
}

/** Names the content in 32 characters, the same at each retry; Elasticsearch allows 512 bytes. */
function idStem({ bucket, key, version }, answer) {
  const name = `${bucket}\0${key}\0${version || (answer.ETag ?? "")}`;
  return createHash("sha256").update(name).digest("hex").slice(0, 32);
}

/** Returns the members that all lines of an object share. */
function constants({ bucket, key }, settings) {
  const members = {
    Environment: settings.environment,
    Application: settings.application,
    Component: settings.component,
    SourceModuleName: settings.sourceModule,
    type: settings.type,
    Source: { S3: { Bucket: bucket, Key: key } },
  };
  return JSON.stringify(members).slice(1, -1);
}
