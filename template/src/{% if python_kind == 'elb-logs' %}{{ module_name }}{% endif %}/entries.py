"""Entries of more than one line: some clients fold a header, and its line feeds are in the log."""

from __future__ import annotations

# In characters. No load balancer takes longer headers, so a quote open for longer is a damaged one.
_LONGEST_ENTRY = 64 * 1024


def last_line(lines: list[str], start: int) -> int | None:
    """Return where the entry that begins at `start` ends: where its open quote is closed.

    That is `start` itself when no quote is open or none is closed in time. None says that the
    lines are too few to tell.
    """
    if not _has_odd_quotes(lines[start]):
        return start
    length = 0
    for index in range(start, len(lines)):
        length += len(lines[index]) + 1
        if length > _LONGEST_ENTRY:
            return start
        if index > start and _has_odd_quotes(lines[index]):
            return index
    return None


def _has_odd_quotes(line: str) -> bool:
    return (line.count('"') - line.count('\\"')) % 2 == 1
