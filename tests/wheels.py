"""Writing wheels, for indexes that are a folder."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path


def write_wheel(
    folder: Path,
    name: str,
    files: Mapping[str, bytes],
    *,
    platform: str = "any",
    record: Mapping[str, str] | None = None,
) -> str:
    """Write version 1.0 of a wheel and return its hash; `record` has rows that are not right."""
    info = f"{name}-1.0.dist-info"
    tag = f"Wheel-Version: 1.0\nRoot-Is-Purelib: {str(platform == 'any').lower()}\n"
    every = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": f"{tag}Tag: py3-none-{platform}\n".encode(),
    }
    hashes = {file: hash_in_record(data) for file, data in every.items()} | dict(record or {})
    rows = "".join(f"{file},{digest},\n" for file, digest in hashes.items())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file, data in every.items():
            archive.writestr(file, data)
        archive.writestr(f"{info}/RECORD", f"{rows}{info}/RECORD,,\n")
    (folder / f"{name}-1.0-py3-none-{platform}.whl").write_bytes(buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def hash_in_record(data: bytes) -> str:
    """Return how a wheel's RECORD gives the hash of a file."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
    return f"sha256={digest.rstrip(b'=').decode()}"
