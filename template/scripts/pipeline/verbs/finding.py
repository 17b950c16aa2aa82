"""The outcome of one check of a package."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Finding"]


@dataclass(frozen=True)
class Finding:
    """What a check proved, what did not fit, and what it cannot prove; unused parts are empty."""

    proven: str = ""
    mismatches: tuple[str, ...] = ()
    unproven: str = ""

    @property
    def holds(self) -> bool:
        """Whether something was proven."""
        return bool(self.proven) and not self.mismatches
