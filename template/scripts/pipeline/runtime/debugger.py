"""pdb at the terminal of whoever runs a function: it runs in the function's process, and alone.

The function's own streams are its log. While pdb waits for a person they are the terminal, line
editing included. Its device is opened by name, for the process is in a session of its own.
"""

from __future__ import annotations

import os
import pdb  # noqa: T100 - this is about it
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def attach(terminal: str, mark: str) -> None:
    """Let every pdb of this process, `breakpoint()` too, talk to a terminal device.

    The file `mark` is made when one first does.
    """

    class Debugger(pdb.Pdb):
        def interaction(self, *given: Any, **named: Any) -> None:
            Path(mark).touch()
            with _streams(terminal):
                self.stdin, self.stdout = sys.stdin, sys.stdout
                super().interaction(*given, **named)

    pdb.Pdb = Debugger  # type: ignore[misc]


@contextmanager
def _streams(terminal: str) -> Iterator[None]:
    files, streams = [os.dup(number) for number in (0, 1)], (sys.stdin, sys.stdout)
    device = os.open(terminal, os.O_RDWR | os.O_NOCTTY)
    for number in (0, 1):
        os.dup2(device, number)
    os.close(device)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - no path
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stdin, sys.stdout = streams
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
