// A real TCP listener that stands for Logstash and can misbehave.
import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Runs `use` with a listener, and ends that. Each connection meets the next of the behaviours, the
 * last of them again and again.
 */
export async function withListener(behaviours, use) {
  const received = [];
  const sockets = [];
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    const index = received.push([]) - 1;
    sockets.push(socket);
    socket.on("error", () => {}); // what ends badly is the test's own doing
    behaviours[Math.min(index, behaviours.length - 1)](socket, received[index]);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    return await use({
      port: server.address().port,
      received,
      /** Returns the JSON documents of the last connection. */
      documents() {
        const lines = Buffer.concat(received.at(-1)).toString().split("\n");
        return lines.filter(Boolean).map((line) => JSON.parse(line));
      },
    });
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

/** Reads to the sender's end, then closes: a healthy Logstash. */
export function readAll(socket, received) {
  neverClose(socket, received);
  socket.on("end", () => socket.end());
}

/** Reads to the sender's end, and leaves our own side open. */
export function neverClose(socket, received) {
  socket.on("data", (data) => received.push(data));
  socket.resume();
}

/** Reads nothing. */
export function stall() {}

/** Reads a little now and then, so that no single write takes long. */
export async function trickle(socket) {
  socket.on("readable", () => {});
  while (!socket.destroyed) {
    socket.read(100);
    await sleep(10);
  }
}

/** Reads to the sender's end, says a little now and then, and never closes. */
export async function chatter(socket, received) {
  neverClose(socket, received);
  while (!socket.destroyed) {
    socket.write(".");
    await sleep(10);
  }
}

/** Ends our side at once, as a Logstash does that shuts down, and reads what still comes. */
export function closeEarly(socket, received) {
  socket.end();
  neverClose(socket, received);
}

/** Ends our side while the sender waits for that, with much of what it sent on the way yet. */
export async function closeUnread(socket) {
  await sleep(100);
  socket.end();
}

/** Returns a behaviour that reads `count` bytes and then cuts the connection. */
export function resetAfter(count) {
  return (socket) => {
    let read = 0;
    socket.on("data", (data) => {
      read += data.length;
      if (read >= count) socket.resetAndDestroy();
    });
    socket.resume();
  };
}
