"""Which distributions lie in a zip, and what each says of itself."""

from __future__ import annotations

from collections.abc import Iterable
from email.message import Message
from email.parser import HeaderParser

from ...project.tables import normal
from ...zip.writer import Member, Raw, plain
from ..engine import Distribution

_SHORT = 80  # characters; longer ones are a licence's text, not its name


def distributions(members: Iterable[Member], below: str = "") -> dict[str, Distribution]:
    """Return what is installed at a zip's root, or in its folder `below`, by normalised name.

    Read from the `METADATA` and `WHEEL` files. The licence is `License-Expression`, else
    `License` when it is one short line, else the last licence classifier.
    """
    found = {}
    files = {
        member.name.removeprefix(below): member.payload
        for member in members
        if member.name.startswith(below)
    }
    for path, payload in files.items():
        if path.endswith(".dist-info/METADATA") and path.count("/") == 1:
            headers = _headers(payload)
            wheel = files.get(path.replace("METADATA", "WHEEL"))
            tags = _headers(wheel).get_all("Tag") if wheel else None
            found[normal(str(headers["Name"]))] = Distribution(
                str(headers["Version"]), _licence(headers), tuple(map(str, tags or ()))
            )
    return found


def _headers(payload: Raw) -> Message:
    text = plain(payload).decode("utf-8", "replace")
    return HeaderParser().parsestr(text, headersonly=True)


def _licence(headers: Message) -> str:
    short = str(headers.get("License", ""))
    short = short if "\n" not in short and len(short) < _SHORT else ""
    declared = headers.get("License-Expression") or short
    lines = [line for line in headers.get_all("Classifier") or [] if line.startswith("License ::")]
    return str(declared or (lines[-1].rpartition("::")[2].strip() if lines else ""))
