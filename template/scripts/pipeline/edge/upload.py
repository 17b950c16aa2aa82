"""A file on its way to a server: multipart/form-data that is read while it is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

__all__ = ["Upload"]

_STEPS = 100


def _unseen(_done: int, _total: int) -> None:
    pass


@dataclass(frozen=True)
class Upload:
    """A file as the only part of a form. `progress` gets the bytes read so far and their total.

    The form has a length, so that servers that know no chunked requests take it.
    """

    path: Path
    field: str
    filename: str
    progress: Callable[[int, int], None] = _unseen

    def headers(self) -> dict[str, str]:
        """Return the headers that describe the body."""
        head, tail = self._frame()
        return {
            "Content-Type": f"multipart/form-data; boundary={self._boundary()}",
            "Content-Length": str(len(head) + self.path.stat().st_size + len(tail)),
        }

    def opened(self) -> Body:
        """Return the body from its start; every attempt to send it needs its own."""
        head, tail = self._frame()
        return Body([BytesIO(head), self.path.open("rb"), BytesIO(tail)], self._report())

    def _frame(self) -> tuple[bytes, bytes]:
        boundary = self._boundary()
        name = self.filename.replace("\\", "\\\\").replace('"', "%22")
        head = (
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="{self.field}"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        return head.encode(), f"\r\n--{boundary}--\r\n".encode()

    def _boundary(self) -> str:
        # The same for all attempts; 128 bits of a hash do not occur in the file by chance.
        seed = f"{self.path}\0{self.path.stat().st_mtime_ns}\0{self.path.stat().st_size}"
        return f"form-{hashlib.sha256(seed.encode()).hexdigest()[:32]}"

    def _report(self) -> Callable[[int], None]:
        total = self.path.stat().st_size
        told = -1

        def report(done: int) -> None:
            nonlocal told
            step = min(done, total) * _STEPS // total if total else _STEPS
            if step > told:
                told = step
                self.progress(min(done, total), total)

        return report


class Body:
    """The parts of a form as one readable file."""

    def __init__(self, parts: list[BinaryIO], report: Callable[[int], None]) -> None:
        self._parts = parts
        self._report = report
        self._done = 0

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`; none at the end."""
        if size < 0:
            return b"".join(iter(lambda: self.read(1 << 16), b""))
        while self._parts:
            data = self._parts[0].read(size)
            if data:
                self._done += len(data)
                self._report(self._done)
                return data
            self._parts.pop(0).close()
        return b""

    def close(self) -> None:
        """Let go of the file."""
        for part in self._parts:
            part.close()
        self._parts.clear()
