// The lines of a stored file, plain or gzip, in bounded memory.
import { isUtf8 } from "node:buffer";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";

const NEWLINE = 10;
const CHUNK = 32 * 1024; // what is made of it, thrice as much, still fits into a processor's cache
// A file without line ends must not fill the memory. No request that a load balancer takes makes a
// line nearly as long as this.
const LONGEST_LINE = 1024 * 1024;

/** The file is damaged or not there in full. */
export class BrokenFileError extends Error {
  name = "BrokenFileError";
}

/**
 * Yields the lines of an iterable of bytes in lists, empty lines included, line ends cut off.
 *
 * The first two bytes decide whether the file is gzip, not its name. Bytes that are not UTF-8 become
 * `\xNN`, as load balancers write them. A line of more than a megabyte comes in pieces, the same
 * ones at each reading. Throws a BrokenFileError when the gzip data is damaged or cut short.
 */
export async function* readLines(body) {
  let rest = Buffer.alloc(0);
  for await (const chunk of plainChunks(body)) {
    rest = rest.length ? Buffer.concat([rest, chunk]) : chunk;
    while (rest.length > LONGEST_LINE && !hasNewline(rest.subarray(0, LONGEST_LINE + 1))) {
      const end = wholeCharacters(rest.subarray(0, LONGEST_LINE));
      yield [decoded(rest.subarray(0, end))];
      rest = rest.subarray(end);
    }
    const end = rest.lastIndexOf(NEWLINE);
    if (end >= 0) {
      yield linesOf(rest.subarray(0, end));
      rest = rest.subarray(end + 1);
    }
  }
  if (rest.length) yield linesOf(rest);
}

function hasNewline(bytes) {
  return bytes.indexOf(NEWLINE) >= 0;
}

function linesOf(bytes) {
  const lines = decoded(bytes).split("\n"); // only \n ends a line, not U+2028 and others
  return bytes.includes(13) ? lines.map((line) => line.replace(/\r$/, "")) : lines;
}

/** Returns how many bytes there are up to the last whole character. */
function wholeCharacters(bytes) {
  for (let at = bytes.length - 1; at >= bytes.length - 3; at -= 1) {
    if (bytes[at] >= 0xc0) return at + widthOf(bytes[at]) > bytes.length ? at : bytes.length;
    if (bytes[at] < 0x80) break;
  }
  return bytes.length;
}

function widthOf(lead) {
  if (lead < 0x80) return 1;
  return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

function decoded(bytes) {
  if (isUtf8(bytes)) return bytes.toString();
  let text = "";
  let start = 0;
  for (let at = 0; at < bytes.length; ) {
    const end = at + widthOf(bytes[at]);
    if (end <= bytes.length && isUtf8(bytes.subarray(at, end))) {
      at = end;
    } else {
      const number = bytes[at].toString(16).padStart(2, "0");
      text += `${bytes.toString("utf8", start, at)}\\x${number}`;
      at += 1;
      start = at;
    }
  }
  return text + bytes.toString("utf8", start);
}

async function* plainChunks(body) {
  const source = body[Symbol.asyncIterator]?.() ?? body[Symbol.iterator]();
  const given = new Given(source);
  try {
    await given.ahead(2);
    if (!given.startsAsGzip()) {
      for (let chunk = given.take(); chunk; chunk = await given.next()) yield chunk;
      return;
    }
    // A gzip file may be several, one after another, and then zeros.
    while (await given.ahead(1)) {
      yield* unzipped(given);
      await given.skipZeros();
      if ((await given.ahead(1)) && !given.startsAsGzip(1)) {
        const what = "something that is neither gzip nor zeros";
        throw new BrokenFileError(`after the gzip data comes ${what}`);
      }
    }
  } finally {
    await source.return?.();
  }
}

async function* unzipped(given) {
  const gunzip = createGunzip({ chunkSize: CHUNK });
  const input = Readable.from(given.remembered(() => gunzip.bytesWritten));
  const done = pipeline(input, gunzip).catch(() => {}); // what fails, fails the loop below too
  try {
    yield* gunzip;
  } catch (error) {
    if (!error.code?.startsWith("Z_")) throw error;
    const what = error.code === "Z_BUF_ERROR" ? "the gzip data is cut short" : null;
    throw new BrokenFileError(what ?? `damaged gzip data: ${error.message}`, { cause: error });
  }
  await done;
  given.goBack(gunzip.bytesWritten);
}

/** The bytes of a source, which can be looked at ahead, and of which some can be given back. */
class Given {
  #source;
  #waiting = Buffer.alloc(0);
  #out = [];
  #outStart = 0;

  constructor(source) {
    this.#source = source;
  }

  /** Reads on until `count` bytes wait; tells whether so many are there. */
  async ahead(count) {
    while (this.#waiting.length < count) {
      const chunk = await this.#read();
      if (!chunk) return false;
      this.#waiting = Buffer.concat([this.#waiting, chunk]);
    }
    return true;
  }

  startsAsGzip(count = 2) {
    return this.#waiting.subarray(0, count).equals(Buffer.from([0x1f, 0x8b]).subarray(0, count));
  }

  /** Returns what waits, or null. */
  take() {
    const bytes = this.#waiting;
    this.#waiting = Buffer.alloc(0);
    return bytes.length ? bytes : null;
  }

  async next() {
    return this.take() ?? this.#read();
  }

  async skipZeros() {
    while (await this.ahead(1)) {
      const first = this.#waiting.findIndex((byte) => byte !== 0);
      this.#waiting = this.#waiting.subarray(first < 0 ? this.#waiting.length : first);
      if (first >= 0) return;
    }
  }

  /** Yields all, and keeps what of it is not `consumed` yet, a count of bytes. */
  async *remembered(consumed) {
    this.#out = [];
    this.#outStart = 0;
    for (let chunk = await this.next(); chunk; chunk = await this.next()) {
      this.#out.push(chunk);
      yield chunk;
      while (this.#out.length && this.#outStart + this.#out[0].length <= consumed()) {
        this.#outStart += this.#out.shift().length;
      }
    }
  }

  /** Takes back what was yielded after the first `count` bytes. */
  goBack(count) {
    const all = Buffer.concat([...this.#out, this.#waiting]);
    this.#waiting = all.subarray(count - this.#outStart);
  }

  async #read() {
    const { value, done } = await this.#source.next();
    return done ? null : Buffer.from(value);
  }
}
