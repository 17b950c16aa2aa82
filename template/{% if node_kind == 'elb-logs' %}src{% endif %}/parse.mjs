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
const [BLANK, HYPHEN] = [32, 45];

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
  // Null where every column is JSON text as it stands.
  const text = NOT_IN_JSON.test(line) ? escaped : null;
  const plain = (column) => (text ? text(column) : column);
  const [agent, others] = afterRequest(line, requestEnd + 1, head[1], text);
  return (
    `"@timestamp":"${head[2]}","LoadBalancerName":"${plain(head[3])}",` +
    `"PublicIpAndPort":"${plain(head[4])}","InternalIpAndPort":"${plain(head[5])}",` +
    `"Status":"${plain(head[9])}","BackendStatus":"${plain(head[10])}",` +
    `"BytesUploadedFromClient":${head[11]},"BytesDownloadedByClient":${head[12]}` +
    `${verbAndPath(request, plain)}${agent && `,"UserAgent":"${plain(agent)}"`}` +
    `${milliseconds("TimeToForwardRequest", head[6])}${milliseconds("TimeTaken", head[7])}` +
    `${milliseconds("TimeToForwardResponse", head[8])}${others},` +
    `"message":${JSON.stringify(line)}`
  );
}

/** Returns where a quote closes the text that begins at `start`; one after a backslash does not. */
function closingQuote(line, start) {
  let at = line.indexOf('"', start);
  while (at > start && line[at - 1] === "\\") at = line.indexOf('"', at + 1);
  return at;
}

/** Returns the user agent, and the members of the columns after it: an application line has some. */
function afterRequest(line, start, kind, text) {
  const members = kind ? `,"RequestType":"${kind}"` : "";
  if (start === line.length) return ["", members];
  if (!line.startsWith(' "', start)) throw complaint(line);
  const agentEnd = closingQuote(line, start + 2);
  if (agentEnd < 0) throw complaint(line);
  const agent = line.slice(start + 2, agentEnd);
  const columns = columnsFrom(line, agentEnd + 1, kind, text);
  if (!kind) refuseLong(line.slice(agentEnd + 1));
  return [agent, members + columns];
}

/** Returns the members of an application line's columns, and refuses what is no column. */
function columnsFrom(line, start, kind, text) {
  let members = "";
  let at = start;
  let quote = at;
  for (let index = 0; at < line.length; index += 1) {
    if (line.charCodeAt(at) !== BLANK) throw complaint(line);
    let begin = at + 1;
    let end;
    if (quote >= 0 && quote < begin) quote = line.indexOf('"', begin);
    if (quote === begin) {
      begin += 1;
      end = closingQuote(line, begin);
      if (end < 0) throw complaint(line);
      at = end + 1;
    } else {
      end = line.indexOf(" ", begin);
      if (end < 0) end = line.length;
      // No word at all, or a quote in one.
      if (end === begin || (quote >= 0 && quote < end)) throw complaint(line);
      at = end;
    }
    const isNamed = kind && index < APPLICATION_MEMBERS.length;
    if (isNamed && (end !== begin + 1 || line.charCodeAt(begin) !== HYPHEN)) {
      const column = line.slice(begin, end);
      members += `${APPLICATION_MEMBERS[index]}${text ? text(column) : column}"`;
    }
  }
  return members;
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
