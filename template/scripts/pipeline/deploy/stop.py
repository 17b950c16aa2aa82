"""A request to stop a deploy: Ctrl-C, or the signal of a task that is cancelled."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Stop:
    """Whether somebody has asked to stop: the step at hand is finished before that is heeded."""

    signals: set[int] = field(default_factory=set)

    def __call__(self) -> bool:
        """Tell whether somebody has asked."""
        return bool(self.signals)

    def request(self, number: int, _frame: object = None) -> None:
        """Take a signal. The same one a second time stops at once: it raises KeyboardInterrupt."""
        # A terminal's Ctrl-C comes in two ways: from it, and from the program that waits.
        if number in self.signals:
            raise KeyboardInterrupt
        self.signals.add(number)
