// Entries of more than one line: some clients fold a header, and its line feeds are in the log.

// In characters. No load balancer takes longer headers, so a quote open for longer is a damaged one.
const LONGEST_ENTRY = 64 * 1024;

/**
 * Returns where the entry that begins at `start` ends: where its open quote is closed.
 *
 * That is `start` itself when no quote is open or none is closed in time. Null says that the lines
 * are too few to tell.
 */
export function lastLine(lines, start) {
  if (!hasOddQuotes(lines[start])) return start;
  let length = 0;
  for (let index = start; index < lines.length; index += 1) {
    length += lines[index].length + 1;
    if (length > LONGEST_ENTRY) return start;
    if (index > start && hasOddQuotes(lines[index])) return index;
  }
  return null;
}

function hasOddQuotes(line) {
  let odd = false;
  for (let at = line.indexOf('"'); at >= 0; at = line.indexOf('"', at + 1)) {
    if (line[at - 1] !== "\\") odd = !odd;
  }
  return odd;
}
