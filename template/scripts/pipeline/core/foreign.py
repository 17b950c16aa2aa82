"""Text of others, shown so that it steers nothing: no terminal, no build server, no Octopus.

A description, a test's output, a branch's name or a service's error may hold anything. What they
could do with it: move a terminal's cursor, turn the direction of a line, or look like a command
of whoever reads the log. Which servers read a log is not always known, as in a container: every
text is made harmless for all of them.
"""

from __future__ import annotations

import json
import re

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
# Characters without a sign of their own. Servers that compare texts by a language's rules do not
# see them: they would find a command around them.
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
    """Return a text as lines that are shown as they are, everywhere.

    What would steer a terminal is written as Python's escape for it; colours go. A space breaks
    what a server would take for a command.
    """
    return "\n".join(map(_line, text.splitlines()))


def harmless_json(document: str) -> str:
    """Return a JSON document, one line of whose texts could steer its reader, as the same one."""
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
