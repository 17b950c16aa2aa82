"""GitLab CI: sections of the job's log that can be folded.

A section's markers are `section_start:UNIX TIME:NAME` and `section_end:UNIX TIME:NAME` between
the sequence that erases a line and a carriage return; NAME has letters, digits, `_`, `.`, `-`.
Tests, artifacts and caches are the build file's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..core.events import Event

_ERASE = "\x1b[0K"
_NO_NAME = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass
class GitLab:
    """The style of GitLab's log; `unix_time` gives seconds."""

    unix_time: Callable[[], float]
    _sections: int = 0
    _name: str = ""

    def opening(self, stage: str) -> str:
        """Return the marker that opens a section, and its heading."""
        # Names are unique in a job's log: a stage may come twice.
        self._sections += 1
        self._name = f"{_NO_NAME.sub('_', stage)}.{self._sections}"
        return f"{self._marker('start')}[collapsed=false]\r{_ERASE}{stage}"

    def closing(self) -> str:
        """Return the marker that closes the section."""
        return f"{self._marker('end')}\r{_ERASE}"

    def special(self, _event: Event) -> list[str] | None:
        """Return None: GitLab has no other forms."""
        return None

    def _marker(self, edge: str) -> str:
        return f"{_ERASE}section_{edge}:{int(self.unix_time())}:{self._name}"
