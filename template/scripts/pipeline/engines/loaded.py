"""The pipeline's own code, as a digest: other code may make other bytes of the same inputs."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

__all__ = ["code_digest", "running_code"]

_LIBRARY = Path(__file__).resolve().parent.parent


@cache
def running_code() -> str:
    """Return the digest of the library that this process runs."""
    return code_digest(_LIBRARY)


def code_digest(library: Path) -> str:
    """Return a digest, in hex, of a library's modules: their names and, with LF, their lines."""
    digest = hashlib.sha256()
    for folder, _, names in sorted(os.walk(library)):
        for name in sorted(names):
            if name.endswith(".py"):
                path = Path(folder, name)
                data = path.read_bytes().replace(b"\r\n", b"\n")
                digest.update(f"{path.relative_to(library).as_posix()} {len(data)}\n".encode())
                digest.update(data)
    return digest.hexdigest()
