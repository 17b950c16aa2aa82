// Starts AWS's runtime client, `index.mjs` beside this file, on a machine that cannot build its
// compiled part: next, done and error, which is that part in JavaScript.
import http from "node:http";
import Module from "node:module";
import { pathToFileURL } from "node:url";

// The address has a path, the Runtime API's secret; the client takes a host and a port only.
const [address, secret] = process.env.AWS_LAMBDA_RUNTIME_API.split("/");
const [hostname, port] = address.split(":");
const handler = process.env._HANDLER;
process.env.AWS_LAMBDA_RUNTIME_API = address;
process.argv[1] = new URL("index.mjs", import.meta.url).pathname;
const request = http.request;
http.request = (options, ...rest) => {
  const ours = options?.hostname === hostname && String(options.port) === port;
  const path = `/${secret}${options?.path}`;
  return request(ours ? { ...options, path } : options, ...rest);
};

const agent = new http.Agent({ keepAlive: true, maxSockets: 1, noDelay: true });
function ask(method, path, body, headers) {
  return new Promise((resolve, reject) => {
    const place = { hostname, port, path: `/2018-06-01/runtime/invocation/${path}` };
    const asked = http.request({ ...place, method, headers, agent }, (response) => {
      const parts = [];
      const { headers } = response;
      response.on("data", (part) => parts.push(part));
      response.on("end", () => resolve({ headers, bodyJson: Buffer.concat(parts).toString() }));
      response.on("error", reject);
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

// The compiled part returns when its answer is posted. So the next event, and an exit, wait for it.
let posted = Promise.resolve();
const exit = process.exit;
function post(path, body, headers) {
  const data = Buffer.from(body);
  process.exit = (code) => void posted.then(() => exit.call(process, code));
  const type = { "Content-Type": "application/json", "Content-Length": data.length };
  posted = ask("POST", path, data, { ...type, ...headers })
    .catch(() => {})
    .then(() => void (process.exit = exit));
}
const compiled = {
  next: () => posted.then(() => ask("GET", "next")),
  done: (id, body) => post(`${id}/response`, body),
  error: (id, body, cause) =>
    post(`${id}/error`, body, { "Lambda-Runtime-Function-XRay-Error-Cause": cause }),
};

// The client asks once for its compiled file; then everything is as it was.
const { _load: load, _resolveFilename: find } = Module;
const name = "./rapid-client.node";
Module._resolveFilename = (wanted, ...rest) =>
  wanted === name ? name : find.call(Module, wanted, ...rest);
Module._load = (wanted, ...rest) => {
  if (wanted !== name) return load.call(Module, wanted, ...rest);
  Object.assign(Module, { _load: load, _resolveFilename: find });
  return compiled;
};

const client = await import("./index.mjs");
await client.run?.(process.env.LAMBDA_TASK_ROOT, handler);
