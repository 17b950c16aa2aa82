"""GitLab CI: sections of the job's log that can be folded.

A section's markers are `section_start:UNIX TIME:NAME` and `section_end:UNIX TIME:NAME` between
the sequence that erases a line and a carriage return; NAME has letters, digits, `_`, `.`, `-`.
Tests, artifacts and caches are the build file's.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

from .grouped import Style

_ERASE = "\x1b[0K"
_NO_NAME = re.compile(r"[^A-Za-z0-9_.-]")


def gitlab(unix_time: Callable[[], float]) -> Style:
    """Return the style of GitLab's log; `unix_time` gives seconds."""
    numbers = itertools.count(1)
    name = ""

    def marker(edge: str) -> str:
        return f"{_ERASE}section_{edge}:{int(unix_time())}:{name}"

    def opening(stage: str) -> str:
        nonlocal name
        # Names are unique in a job's log: a stage may come twice.
        name = f"{_NO_NAME.sub('_', stage)}.{next(numbers)}"
        return f"{marker('start')}[collapsed=false]\r{_ERASE}{stage}"

    return Style(opening, lambda: f"{marker('end')}\r{_ERASE}")
