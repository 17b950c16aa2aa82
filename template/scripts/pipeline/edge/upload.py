"""A file as multipart/form-data, read while it is sent."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path

_STEPS = 100
_BLOCK = 1 << 16


@dataclass(frozen=True)
class Upload:
    """A file as the only part of a form. `progress` gets the bytes sent so far and their total.

    The form has a length, because some servers take no chunked requests. The boundary has 128
    random bits, which do not occur in the file.
    """

    path: Path
    field_name: str
    filename: str
    progress: Callable[[int, int], None]
    boundary: str = field(default_factory=lambda: f"form-{secrets.token_hex(16)}")

    def headers(self) -> dict[str, str]:
        """Return the headers that describe the body."""
        head, tail = self._frame()
        return {
            "Content-Type": f"multipart/form-data; boundary={self.boundary}",
            "Content-Length": str(len(head) + self.path.stat().st_size + len(tail)),
        }

    def blocks(self) -> Generator[bytes, None, None]:
        """Yield the body from its start; every attempt to send it needs its own."""
        head, tail = self._frame()
        total = self.path.stat().st_size
        done = reported = 0
        self.progress(done, total)
        yield head
        with self.path.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block
                done += len(block)
                step = done * _STEPS // total
                if step > reported:
                    reported = step
                    self.progress(done, total)
        yield tail

    def _frame(self) -> tuple[bytes, bytes]:
        name = self.filename.replace("\\", "\\\\").replace('"', "%22")
        head = (
            f"--{self.boundary}\r\n"
            f'Content-Disposition: form-data; name="{self.field_name}"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        return head.encode(), f"\r\n--{self.boundary}--\r\n".encode()
