"""A request to stop a deploy: Ctrl-C, or the signal of a task that is cancelled."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Stop:
    """Whether somebody has asked to stop: the step at hand is finished before that is heeded."""

    asked: bool = False

    def __call__(self) -> bool:
        """Tell whether somebody has asked."""
        return self.asked

    def request(self, *_: object) -> None:
        """Take a signal. The second one stops at once: it raises KeyboardInterrupt."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
