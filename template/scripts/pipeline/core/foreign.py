"""Making text from others safe to show on a terminal, in a build server's log and in Octopus's.

A description, a test's output or a service's error could move a terminal's cursor, turn the
direction of a line, or look like a command to the program that reads the log. Which programs
read it is not always known, as in a container: a text is made safe for all of them.
"""

from __future__ import annotations

import json
import re

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
# Characters that are not visible. Servers that compare texts by a language's rules skip them, and
# would find a command around them.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
# ##teamcity[, ##octopus, ##vso[, ##[group]: anywhere in a line.
_MARK = re.compile(r"#(?=#(?:octopus|[a-z]*\[))", re.IGNORECASE)
# GitLab's section_start:TIME:NAME, which a carriage return may follow on the way.
_SECTION = re.compile(r"section_(?=(?:start|end):)")
# GitHub's ::error::, which is one at the start of a line.
_START = re.compile(r"[^0-9A-Za-z]+")
_COLONS = re.compile(r":(?=:)")


def harmless(text: str) -> str:
    """Return a text as lines that nothing takes for a command.

    What would steer a terminal is written as Python's escape for it; colours go. A space breaks
    what a server would take for a command.
    """
    return "\n".join(map(_line, text.splitlines()))


def harmless_json(document: str) -> str:
    """Return the same JSON document with everything escaped that could look like a command."""
    document = _UNSEEN.sub(lambda unseen: json.dumps(unseen[0])[1:-1], document)
    document = document.replace("##", "#\\u0023")
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in document)


def _line(line: str) -> str:
    if not (line.isascii() and line.isprintable()):
        line = _UNSEEN.sub("", _COLOUR.sub("", line))
        line = "".join(c if c.isprintable() or c == "\t" else _visible(c) for c in line)
    if "::" in line and (start := _START.match(line)):
        line = _COLONS.sub(": ", start[0]) + line[start.end() :]
    return _SECTION.sub("section _", _MARK.sub("# ", line))


def _visible(character: str) -> str:
    return " " if character.isspace() else character.encode("unicode_escape").decode()
