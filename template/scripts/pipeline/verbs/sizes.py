"""Sizes and durations as people read them."""

from __future__ import annotations

__all__ = ["megabytes"]

_KILO, _MEGA = 1_000, 1_000_000


def megabytes(size: int) -> str:
    """Return a size in bytes like `4.4 MB`, or `12 kB` below a tenth of a megabyte."""
    if size < _MEGA / 10:
        return f"{max(1, round(size / _KILO))} kB"
    return f"{size / _MEGA:.1f} MB"
