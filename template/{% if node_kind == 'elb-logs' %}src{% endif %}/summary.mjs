// What became of the lines, as one JSON line that is CloudWatch metrics too.

const LAST_FEW = 10;
const NAMESPACE = "LoadBalancerLogs";

/** How often something failed, with the last few reasons. */
class Failures {
  total = 0;
  lastFew = [];

  add(reason) {
    this.total += 1;
    this.lastFew.push(reason);
    if (this.lastFew.length > LAST_FEW) this.lastFew.shift();
  }
}

/**
 * The counts of one invocation, filled while it runs.
 *
 * A line is `parsed` if it is in a known format and `sent` once the connection that carried it came
 * to a clean end. Malformed lines are sent too. `failed` lines were not sent.
 */
export class Summary {
  encountered = 0;
  sent = 0;
  parsing = new Failures();
  reading = new Failures();
  endedCleanly = false;

  constructor(sending = new Failures()) {
    this.sending = sending;
  }

  /** Returns that of an invocation that could not begin to send. */
  static ofFailure(reason) {
    const summary = new Summary();
    summary.sending.add(reason);
    return summary;
  }

  get parsed() {
    return this.encountered - this.parsing.total;
  }

  /** How many of the lines that were read are not known to have arrived. */
  get failed() {
    return this.encountered - this.sent;
  }

  /** Whether every object was read to its end and every line sent. */
  get isComplete() {
    return this.endedCleanly && !this.reading.total;
  }

  /** Notes that the peer has taken all that was read. */
  endCleanly() {
    this.sent = this.encountered;
    this.endedCleanly = true;
  }

  /** Returns it for JSON. */
  report() {
    const { encountered, parsed, sent, failed, parsing, reading, sending } = this;
    return {
      lines: { encountered, parsed, sent, failed },
      failures: { parsing: { ...parsing }, reading: { ...reading }, sending: { ...sending } },
    };
  }
}

/**
 * Returns the summary as a log line in CloudWatch's embedded metric format.
 *
 * `now` is in milliseconds since 1970. CloudWatch makes metrics of it without a call from here.
 */
export function summaryLine(summary, dimensions, now) {
  const metrics = {
    LinesEncountered: summary.encountered,
    LinesParsed: summary.parsed,
    LinesSent: summary.sent,
    LinesFailed: summary.failed,
  };
  const directive = {
    Namespace: NAMESPACE,
    Dimensions: [Object.keys(dimensions)],
    Metrics: Object.keys(metrics).map((name) => ({ Name: name, Unit: "Count" })),
  };
  const metadata = { Timestamp: Math.trunc(now), CloudWatchMetrics: [directive] };
  return JSON.stringify({ ...summary.report(), ...dimensions, ...metrics, _aws: metadata });
}
