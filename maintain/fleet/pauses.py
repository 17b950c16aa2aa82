"""Waiting that a Ctrl-C ends in every thread; Python tells only the main one of it."""

from __future__ import annotations

import queue
import signal
from types import FrameType
from typing import Self


class Pauses:
    """While it is entered, a Ctrl-C ends each `sleep`, begun or to come, by KeyboardInterrupt."""

    def __init__(self) -> None:
        # An Event would not do: its lock may be held by what the signal came into.
        self._over = queue.SimpleQueue[None]()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        try:
            self._over.get(timeout=seconds)
        except queue.Empty:
            return
        self._over.put(None)
        raise KeyboardInterrupt

    def __enter__(self) -> Self:
        """Take the signal."""
        self._before = signal.signal(signal.SIGINT, self._end)
        return self

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        signal.signal(signal.SIGINT, self._before)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self._over.put(None)
        raise KeyboardInterrupt
