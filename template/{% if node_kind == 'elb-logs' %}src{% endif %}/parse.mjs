// One access log line to JSON, of a classic or of an application load balancer.
//
// Millions of lines go through here. So a line becomes JSON text as a whole, one look cuts the first
// columns from it, and every column is JSON text already.

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
].map((name) => `","${name}":"`);
const MOST_AFTER_AGENT = 2; // in a classic line: cipher and protocol
const [BLANK, HYPHEN, BACKSLASH] = [32, 45, 92];

const TIME = String.raw`(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)`;
const SECONDS = String.raw`(-1|\d{1,9}(?:\.\d+)?)`;
const BYTES = String.raw`(0|[1-9]\d{0,18})`; // no more digits than 64 bits have: not every reader takes them
const BARE = '([^" ]+)';
// The type stands first in application lines only; the other columns are common to both. No column
// holds what ends it, so nothing is tried twice. A quote is `\"` here, a backslash `\\`.
const HEAD = new RegExp(
  `^(?:([a-z][a-z0-9]*) )?${TIME} ${BARE} ${BARE} ${BARE} ${SECONDS} ${SECONDS} ${SECONDS} ` +
    `${BARE} ${BARE} ${BYTES} ${BYTES} \\\\"`,
);
const ESCAPED_QUOTE = String.raw`\\\"`;
// Where there was no HTTP request, it is `- - - `.
const VERSION = /^(?:HTTP\/[0-9.]+|- ?)$/;
const ORIGIN = /^[A-Za-z]+:\/\/[^/?]*/;

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
  const text = JSON.stringify(line).slice(1, -1);
  const head = HEAD.exec(text);
  if (!head) throw complaint(line);
  const start = head[0].length;
  const requestEnd = closingQuote(text, start);
  if (requestEnd < 0) throw complaint(line);
  const request = text.slice(start, requestEnd);
  const hasQuotes = text.includes(ESCAPED_QUOTE);
  const rest = afterRequest(text, requestEnd + 2, head[1], hasQuotes);
  if (rest === null) throw complaint(line);
  return (
    `"@timestamp":"${head[2]}","LoadBalancerName":"${head[3]}",` +
    `"PublicIpAndPort":"${head[4]}","InternalIpAndPort":"${head[5]}",` +
    `"Status":"${head[9]}","BackendStatus":"${head[10]}",` +
    `"BytesUploadedFromClient":${head[11]},"BytesDownloadedByClient":${head[12]}` +
    `${verbAndPath(request, hasQuotes)}${milliseconds("TimeToForwardRequest", head[6])}` +
    `${milliseconds("TimeTaken", head[7])}${milliseconds("TimeToForwardResponse", head[8])}` +
    `${rest},"message":"${text}"`
  );
}

/** Returns where a quote closes what begins at `start`; one after a backslash does not. */
function closingQuote(text, start) {
  let at = text.indexOf('"', start) - 1;
  while (at > start && text.charCodeAt(at - 1) === BACKSLASH) at = text.indexOf('"', at + 2) - 1;
  return at;
}

/** Returns the members of the user agent and of the columns after it; null where one is no column. */
function afterRequest(text, start, kind, hasQuotes) {
  // The members of an application line each begin with the quote that closes the one before.
  const [first, end] = kind ? [`,"RequestType":"${kind}`, '"'] : ["", ""];
  if (start === text.length) return first + end;
  if (!text.startsWith(' \\"', start)) return null;
  const agentEnd = closingQuote(text, start + 3);
  if (agentEnd < 0) return null;
  const columns = columnsFrom(text, agentEnd + 2, kind, hasQuotes);
  if (columns === null) return null;
  if (!kind) refuseLong(text.slice(agentEnd + 2));
  const agent = plain(text.slice(start + 3, agentEnd), hasQuotes);
  return (agent && `,"UserAgent":"${agent}"`) + first + columns + end;
}

/** Returns the members of an application line's columns, null where one is no column. */
function columnsFrom(text, start, kind, hasQuotes) {
  let members = "";
  let at = start;
  let quote = at;
  for (let index = 0; at < text.length; index += 1) {
    if (text.charCodeAt(at) !== BLANK) return null;
    let begin = at + 1;
    let end;
    if (quote >= 0 && quote <= begin) quote = text.indexOf('"', begin);
    if (quote === begin + 1) {
      begin += 2;
      end = closingQuote(text, begin);
      if (end < 0) return null;
      at = end + 2;
    } else {
      end = text.indexOf(" ", begin);
      if (end < 0) end = text.length;
      // No word at all, or a quote in one.
      if (end === begin || (quote >= 0 && quote < end)) return null;
      at = end;
    }
    const isNamed = kind && index < APPLICATION_MEMBERS.length;
    if (isNamed && (end !== begin + 1 || text.charCodeAt(begin) !== HYPHEN)) {
      members += APPLICATION_MEMBERS[index];
      members += plain(text.slice(begin, end), hasQuotes);
    }
  }
  return members;
}

/** Returns the members of a request: all between the verb and the version is the URL, blanks too. */
function verbAndPath(request, hasQuotes) {
  const first = request.indexOf(" ");
  let last = request.lastIndexOf(" ");
  if (last === request.length - 1) last = request.lastIndexOf(" ", last - 1);
  if (first < 1 || last <= first || !VERSION.test(request.slice(last + 1))) return "";
  const verb = plain(request.slice(0, first), hasQuotes);
  const url = request.slice(first + 1, last);
  const query = url.indexOf("?");
  const start = ORIGIN.exec(url)?.[0].length ?? 0;
  const path = plain(url.slice(start, query < 0 ? url.length : query), hasQuotes);
  return `,"Verb":"${verb}","Path":"${path || (verb === "-" ? "-" : "/")}"`;
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

/** Returns a column without the backslashes that load balancers put before its quotes. */
function plain(column, hasQuotes) {
  return hasQuotes ? column.replaceAll(ESCAPED_QUOTE, '\\"') : column;
}

function complaint(line) {
  const counts = `${line.split(" ").length} words, ${[...line].length} characters`;
  return new MalformedLineError(`neither a classic nor an application line: ${counts}`);
}
