"""`cache.clear`: everything that a build can make again goes."""

from __future__ import annotations

from ..edge.cache import clear
from ..edge.files import alone, unwritable
from ..edge.machine import Machine
from ..report.events import Reporter

__all__ = ["clear_cache"]


def clear_cache(machine: Machine, reporter: Reporter) -> tuple[int, int]:
    """Empty the repository's cache; return how many files and bytes were removed.

    A build that is under way is waited for. Builds, `build-output` and the machine's own caches
    of packages stay.
    """

    def waiting() -> None:
        reporter.line("a build is running in this folder; waiting for it")

    with alone(machine.root / ".pipeline" / "build.lock", waiting):
        try:
            return clear(machine.cache)
        except OSError as error:
            raise unwritable(machine.cache, error) from error
