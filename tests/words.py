"""What messages say, in pages that are reviewed as texts; tests assert where and what code besides.

A page is `tests/wording/NAME.txt`: for each message a title between equal signs, then its lines.
`WRITE_WORDING=1` with `-n 0` writes what is said now; the difference is what to review.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

_PAGES = Path(__file__).with_name("wording")
_TITLE = re.compile(r"^== (.+) ==\n", re.MULTILINE)


def assert_wording(page: str, title: str, text: str, names: Mapping[str, str]) -> None:
    """Compare a message with its page, with a name for what differs from run to run.

    `names` has patterns, and what stands for each in the page.
    """
    for pattern, name in names.items():
        text = re.sub(pattern, name, text)
    text = "".join(f"{line.rstrip()}\n" for line in text.strip().splitlines())
    path = _PAGES / f"{page}.txt"
    _, *parts = _TITLE.split(path.read_text(encoding="utf-8")) if path.exists() else ("",)
    said = {
        key: value.strip("\n") + "\n" for key, value in zip(parts[::2], parts[1::2], strict=True)
    }
    if os.environ.get("WRITE_WORDING"):
        said[title] = text
        blocks = (f"== {key} ==\n{value}" for key, value in sorted(said.items()))
        path.write_text("\n".join(blocks), encoding="utf-8")
    assert said.get(title) == text, f"{path.name}: review it, then run with WRITE_WORDING=1 -n 0"
