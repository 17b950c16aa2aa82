"""The log of a server task that is read repeatedly while it grows: each line once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .client import Document

_GAP = "Gap"
_Entry = tuple[str, str, str]


@dataclass(frozen=True)
class LogLine:
    """A line: the activity it belongs to, its category in Octopus's words, its text."""

    activity: str
    category: str
    text: str


@dataclass
class TaskLog:
    """What has been read of one task's log; `cut` after the server left out lines unread."""

    seen: dict[str, list[_Entry]] = field(default_factory=dict)
    cut: bool = False

    def unread(self, details: Document) -> list[LogLine]:
        """Return the lines that are new in this reading of the task's details, depth first."""
        found = []
        for node in _activities(details.documents("ActivityLogs")):
            name = node.text("Name")
            new = self._new(node.text("Id"), node.documents("LogElements"))
            found += [LogLine(name, category, words) for _, category, words in new]
        return found

    def _new(self, activity: str, elements: list[Document]) -> list[_Entry]:
        entries = [
            (e.text("OccurredAt"), e.text("Category"), e.text("MessageText")) for e in elements
        ]
        seen = self.seen.setdefault(activity, [])
        gaps = [number for number, entry in enumerate(entries) if entry[1] == _GAP]
        if gaps:
            tail = entries[gaps[-1] + 1 :]
            known = _overlap(seen, tail)
            # Without an overlap, lines in between may be missing.
            self.cut |= not known
            new = tail[known:]
        else:
            new = entries[len(seen) :]
        seen += new
        return new


def _overlap(seen: list[_Entry], tail: list[_Entry]) -> int:
    """Return how many entries at the end of `seen` are those that `tail` begins with."""
    for length in range(min(len(seen), len(tail)), 0, -1):
        if seen[-length:] == tail[:length]:
            return length
    return 0


def _activities(nodes: list[Document]) -> Iterator[Document]:
    for node in nodes:
        yield node
        yield from _activities(node.documents("Children"))
