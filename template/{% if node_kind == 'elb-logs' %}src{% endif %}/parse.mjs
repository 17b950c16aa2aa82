// One access log line to JSON, of a classic or of an application load balancer.
//
// Millions of lines go through here. So one look cuts a line, and for nearly all lines a second one
// tells that their columns are JSON text as they stand.

// What an application load balancer writes after the user agent, in its order. Columns that AWS
// appends later stay in `message` until they get a name here.
const APPLICATION_MEMBERS = [
  "SslCipher",
  "SslProtocol",
  "TargetGroupArn",
  "TraceId",
  "DomainName",
  "ChosenCertificateArn",
  "MatchedRulePriority",
  "RequestCreationTime",
  "ActionsExecuted",
  "RedirectUrl",
  "ErrorReason",
  "Targets",
  "TargetStatuses",
  "Classification",
  "ClassificationReason",
  "ConnectionTraceId",
  "TransformedHost",
  "TransformedUri",
  "RequestTransformStatus",
].map((name) => `,"${name}":"`);
const MOST_AFTER_AGENT = 2; // in a classic line: cipher and protocol

const TIME = String.raw`(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)`;
const SECONDS = String.raw`(-1|\d{1,9}(?:\.\d+)?)`;
const BYTES = String.raw`(0|[1-9]\d{0,18})`; // no more digits than 64 bits have: not every reader takes them
const BARE = '([^" ]+)';
// The type stands first in application lines only; the other columns are common to both. No column
// holds what ends it, so nothing is tried twice.
const HEAD = new RegExp(
  `^(?:([a-z][a-z0-9]*) )?${TIME} ${BARE} ${BARE} ${BARE} ${SECONDS} ${SECONDS} ${SECONDS} ` +
    `${BARE} ${BARE} ${BYTES} ${BYTES} "`,
);
const NOT_IN_JSON = /[\\\x00-\x1f]/; // besides quotes, which are cut off
// Where there was no HTTP request, it is `- - - `.
const VERSION = /^(?:HTTP\/[0-9.]+|- ?)$/;
const ORIGIN_OR_QUERY = /^[A-Za-z]+:\/\/[^/?]*|\?.*/gs;

/** The line is in neither format; the message says how it looks. */
export class MalformedLineError extends Error {
  name = "MalformedLineError";
}

/**
 * Returns the line's fields as the members of a JSON object, without the braces.
 *
 * Times are whole milliseconds (a time of -1 is left out), sizes are bytes, all else is text as it
 * stands in the line. A request that is not one has no verb and no path. Throws a
 * MalformedLineError.
 */
export function jsonMembers(line) {
  const head = HEAD.exec(line);
  if (!head) throw complaint(line);
  const requestEnd = closingQuote(line, head[0].length);
  if (requestEnd < 0) throw complaint(line);
  const request = line.slice(head[0].length, requestEnd);
  const [agent, columns, afterAgent] = rest(line, requestEnd + 1);
  const isPlain = !NOT_IN_JSON.test(line);
  const text = isPlain ? (column) => column : escaped;
  const kind = head[1];
  let others = "";
  if (kind) others = application(kind, columns, text);
  else if (columns.length) refuseLong(line.slice(afterAgent));
  const message = isPlain ? line.replaceAll('"', '\\"') : JSON.stringify(line).slice(1, -1);
  return (
    `"@timestamp":"${head[2]}","LoadBalancerName":"${text(head[3])}",` +
    `"PublicIpAndPort":"${text(head[4])}","InternalIpAndPort":"${text(head[5])}",` +
    `"Status":"${text(head[9])}","BackendStatus":"${text(head[10])}",` +
    `"BytesUploadedFromClient":${head[11]},"BytesDownloadedByClient":${head[12]}` +
    `${verbAndPath(request, text)}${agent && `,"UserAgent":"${text(agent)}"`}` +
    `${milliseconds("TimeToForwardRequest", head[6])}${milliseconds("TimeTaken", head[7])}` +
    `${milliseconds("TimeToForwardResponse", head[8])}${others},"message":"${message}"`
  );
}

/** Returns where a quote closes the text that begins at `start`; one after a backslash does not. */
function closingQuote(line, start) {
  let at = line.indexOf('"', start);
  while (at > start && line[at - 1] === "\\") at = line.indexOf('"', at + 1);
  return at;
}

/** Returns the user agent, the columns after it, and where these begin. */
function rest(line, start) {
  if (start === line.length) return ["", [], start];
  if (!line.startsWith(' "', start)) throw complaint(line);
  const agentEnd = closingQuote(line, start + 2);
  if (agentEnd < 0) throw complaint(line);
  const columns = [];
  let at = agentEnd + 1;
  while (at < line.length) {
    if (line[at] !== " ") throw complaint(line);
    const isQuoted = line[at + 1] === '"';
    const begin = isQuoted ? at + 2 : at + 1;
    const end = isQuoted ? closingQuote(line, begin) : endOfWord(line, begin);
    if (end < 0 || (!isQuoted && end === begin)) throw complaint(line);
    columns.push(line.slice(begin, end));
    at = isQuoted ? end + 1 : end;
  }
  return [line.slice(start + 2, agentEnd), columns, agentEnd + 1];
}

function endOfWord(line, start) {
  const blank = line.indexOf(" ", start);
  const end = blank < 0 ? line.length : blank;
  // A quote in a word ends it; what follows is then no column.
  const quote = line.slice(start, end).indexOf('"');
  return quote < 0 ? end : start + quote;
}

/** Returns the members of a request: all between the verb and the version is the URL, blanks too. */
function verbAndPath(request, text) {
  const first = request.indexOf(" ");
  let last = request.lastIndexOf(" ");
  if (last === request.length - 1) last = request.lastIndexOf(" ", last - 1);
  if (first < 1 || last <= first || !VERSION.test(request.slice(last + 1))) return "";
  const verb = request.slice(0, first);
  const path = request.slice(first + 1, last).replace(ORIGIN_OR_QUERY, "");
  return `,"Verb":"${text(verb)}","Path":"${text(path) || (verb === "-" ? "-" : "/")}"`;
}

function application(kind, columns, text) {
  let members = `,"RequestType":"${kind}"`;
  const count = Math.min(columns.length, APPLICATION_MEMBERS.length);
  for (let index = 0; index < count; index += 1) {
    if (columns[index] !== "-") members += `${APPLICATION_MEMBERS[index]}${text(columns[index])}"`;
  }
  return members;
}

function refuseLong(rest) {
  const more = rest.split(" ").length - 1;
  if (more > MOST_AFTER_AGENT) {
    throw new MalformedLineError(`${13 + more} columns, a classic line has 12 to 15`);
  }
}

function milliseconds(name, seconds) {
  // -1 where there was no answer from the target, or the client went away.
  if (seconds === "-1") return "";
  const exact = Number(seconds) * 1000;
  const near = Math.round(exact);
  // A half goes to the even neighbour, as in the function's sister in Python.
  return `,"${name}":${near - exact === 0.5 && near % 2 ? near - 1 : near}`;
}

function escaped(column) {
  return JSON.stringify(column.replaceAll('\\"', '"')).slice(1, -1);
}

function complaint(line) {
  const counts = `${line.split(" ").length} words, ${[...line].length} characters`;
  return new MalformedLineError(`neither a classic nor an application line: ${counts}`);
}
