"""The clocks: the time of day for versions, a monotonic one for durations."""

from __future__ import annotations

from datetime import UTC, datetime
from time import monotonic

__all__ = ["monotonic", "utc_now"]


def utc_now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)
