"""Reading the service messages of a script, by the rules of Octopus's own parser.

A message starts at `##octopus` anywhere in a line and ends at the first `]`; its inside is the
name and attributes of an XML element, every value base64. What does not fit is plain text.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Message", "parse"]

_MARK = "##octopus["
_INSIDE = re.compile(
    r"(?P<name>[A-Za-z_][\w.-]*)(?P<attributes>(?:\s+[\w.-]+\s*=\s*(?:'[^'<]*'|\"[^\"<]*\"))*)\s*",
    re.ASCII,
)
_ATTRIBUTE = re.compile(r"([\w.-]+)\s*=\s*(?:'([^']*)'|\"([^\"]*)\")", re.ASCII)


@dataclass(frozen=True)
class Message:
    """A service message with its decoded attributes."""

    name: str
    attributes: Mapping[str, str] = field(default_factory=dict)


def parse(line: str) -> tuple[str, Message | None]:
    """Split a line into its plain text and the message in it, if there is one."""
    start = line.find(_MARK)
    end = line.find("]", start)
    if start < 0 or end < 0:
        return line, None
    inside = _INSIDE.fullmatch(line[start + len(_MARK) : end])
    if inside is None:
        return line, None
    try:
        attributes = {
            name: base64.b64decode(single or double, validate=True).decode("utf-8")
            for name, single, double in _ATTRIBUTE.findall(inside["attributes"])
        }
    except (binascii.Error, UnicodeDecodeError):
        return line, None
    return line[:start] + line[end + 1 :], Message(inside["name"], attributes)
