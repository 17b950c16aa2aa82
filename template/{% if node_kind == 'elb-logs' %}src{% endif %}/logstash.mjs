// One connection to Logstash's TCP input (codec `json_lines`), plain or TLS.
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import net from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import tls from "node:tls";

import { SettingsError } from "./settings.mjs";

/** The connection could not be made, or broke, or its end was not clean. */
export class ConnectionLostError extends Error {
  name = "ConnectionLostError";
}

/**
 * A connected socket.
 *
 * Nothing it does takes longer than `timeout` milliseconds, nor goes on after `deadline`, a time of
 * `performance.now`: a peer that takes or says a little now and then must not hold us up.
 */
class Connection {
  #stream;
  #timeout;
  #deadline;
  #lost;
  #hasEnded = false;

  constructor(stream, timeout, deadline) {
    this.#stream = stream;
    this.#timeout = timeout;
    this.#deadline = deadline;
    stream.on("error", (error) => (this.#lost ??= error));
    stream.on("end", () => (this.#hasEnded = true));
    stream.resume(); // Logstash has nothing to say; whatever comes is not for us
  }

  /** Writes all of it. Throws a ConnectionLostError. */
  async send(data) {
    await this.#within(`writing ${data.length} bytes failed`, () => {
      return new Promise((resolve, reject) => {
        this.#stream.write(data, (error) => (error ? reject(error) : resolve()));
      });
    });
  }

  /**
   * Ends our side and waits for the peer to end its own.
   *
   * Only then has the peer's machine taken every byte. It is no word from Logstash itself that it has
   * processed them: the protocol has none. Throws a ConnectionLostError.
   */
  async finish() {
    const { localPort, remotePort } = this.#stream;
    await this.#within("no clean end of the connection", async () => {
      this.#stream.end();
      if (!this.#stream.readableEnded) await once(this.#stream, "end");
      if (untaken(localPort, remotePort)) {
        throw new Error("the peer closed it before it had taken all");
      }
    });
  }

  /** Closes it, finished or not. */
  close() {
    this.#stream.destroy();
  }

  async #within(what, act) {
    await turn(); // what the peer has done in the meantime gets known
    try {
      if (this.#hasEnded) throw new Error("the peer closed it before all was sent");
      await inTime(this.#timeout, this.#deadline, this.#stream, act);
      if (this.#lost) throw this.#lost;
    } catch (error) {
      throw lost(what, this.#lost ?? error);
    }
  }
}

/**
 * Connects, and with TLS verifies the peer's certificate and name.
 *
 * Throws a ConnectionLostError, and a SettingsError for a `caFile` that cannot be used.
 */
export async function connect(settings, deadline = Infinity) {
  const { host, port } = settings;
  const options = { host, port, noDelay: true, allowHalfOpen: true };
  const stream = settings.tls
    ? tls.connect({ ...options, servername: net.isIP(host) ? "" : host, ca: authority(settings.caFile) })
    : net.connect(options);
  try {
    const event = settings.tls ? "secureConnect" : "connect";
    await inTime(settings.connectTimeout * 1000, deadline, stream, () => once(stream, event));
  } catch (error) {
    stream.destroy();
    throw lost(`connecting to ${host}:${port} failed`, error);
  }
  return new Connection(stream, settings.writeTimeout * 1000, deadline);
}

function authority(file) {
  if (!file) return undefined;
  try {
    const text = readFileSync(file, "utf8");
    new X509Certificate(text); // throws for what is none, which TLS would pass over
    return text;
  } catch (error) {
    const what = `LOGSTASH_CA_FILE is '${file}', which is no readable PEM file`;
    throw new SettingsError(`${what}: ${error.message}`, { cause: error });
  }
}

/** Waits for `act`, but no longer than there is time, nor than the stream is there. */
async function inTime(timeout, deadline, stream, act) {
  const left = Math.min(timeout, deadline - performance.now());
  let timer;
  let fail;
  try {
    await Promise.race([
      new Promise((_, reject) => {
        fail = (error) => reject(error ?? new Error("the peer closed it before all was sent"));
        stream.on("error", fail);
        stream.on("close", fail);
        timer = setTimeout(() => fail(new Error("no time left")), Math.max(0, left));
      }),
      left > 0 ? act() : new Promise(() => {}),
    ]);
  } finally {
    clearTimeout(timer);
    stream.off("error", fail);
    stream.off("close", fail);
  }
}

/**
 * Tells whether the peer's machine ended its side before it had taken all of ours.
 *
 * A peer that read to our end has taken it, and the end too. Only Linux says so.
 */
function untaken(localPort, remotePort) {
  const ports = [localPort, remotePort].map((port) => port.toString(16).toUpperCase().padStart(4, "0"));
  const pattern = `^\\s*\\d+: [0-9A-F]+:${ports[0]} [0-9A-F]+:${ports[1]} [0-9A-F]+ ([0-9A-F]+):`;
  for (const table of ["/proc/self/net/tcp", "/proc/self/net/tcp6"]) {
    let text = "";
    try {
      text = readFileSync(table, "utf8");
    } catch {
      continue;
    }
    const found = new RegExp(pattern, "m").exec(text);
    if (found) return Number.parseInt(found[1], 16) > 0;
  }
  return false;
}

function lost(what, error) {
  return new ConnectionLostError(`${what}: ${error.message || error.code}`, { cause: error });
}
