"""Reading the service messages of a script, by the rules of Octopus's own parser.

A message starts at `##octopus[` anywhere in a line and ends at the first `]`; between them are the
name and attributes of an XML element, every value in base64. Anything else is plain text.
"""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field

_MARK = "##octopus["


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
    try:
        # Inside an element there can be no document type, and so no entities that expand.
        element = ET.fromstring(f"<{line[start + len(_MARK) : end]}/>")  # noqa: S314
        attributes = {
            name: base64.b64decode(value, validate=True).decode("utf-8")
            for name, value in element.attrib.items()
        }
    except (ET.ParseError, ValueError):
        return line, None
    return line[:start] + line[end + 1 :], Message(element.tag, attributes)
