"""Files and folders that are written in one step, and reading texts in any UTF."""

from __future__ import annotations

import codecs
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from ..core.errors import PipelineError
from ..core.strict_json import parse_json

# A dot, the final name, what `tempfile` adds, and a suffix of earlier releases.
_HALF_WRITTEN = re.compile(r"\..+\.[A-Za-z0-9_]{8}(\.part)?\Z")
# UTF-32 first: its mark begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
    codecs.BOM_UTF8: "UTF-8",
}
_AS_UTF8 = "Save it as UTF-8."


def write_whole(path: Path, data: bytes) -> None:
    """Write a file in one step: readers see all the old bytes or all the new ones."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            part.write(data)


def write_json(path: Path, document: Any) -> None:
    """Write sorted, indented JSON in one step."""
    write_whole(path, json.dumps(document, indent=2, sort_keys=True).encode() + b"\n")


def read_json(path: Path) -> Any:
    """Return the document in a file, or None where the file is missing or not readable JSON."""
    try:
        return parse_json(path.read_bytes(), str(path))
    except (OSError, PipelineError):
        return None


def read_text(path: Path, where: str) -> str:
    """Return a file's text as `decoded` does; raises OSError where there is none."""
    return decoded(path.read_bytes(), where)


def decoded(data: bytes, where: str) -> str:
    """Decode UTF-8, or UTF-16 or UTF-32 with their byte order mark, as PowerShell writes them.

    Line ends become LF. Raises PipelineError, naming the place, for every other encoding.
    """
    encoding = mark_of(data)
    if not encoding and b"\0" in data:
        what = "it holds null bytes, as UTF-16 without a byte order mark does"
        raise PipelineError(f"{where}:{_line(data, data.index(0))}", what, _AS_UTF8)
    try:
        # The codecs of UTF-16 and UTF-32 drop the mark; for UTF-8 that is another one.
        text = data.decode({"UTF-8": "utf-8-sig"}.get(encoding, encoding or "utf-8"))
    except UnicodeDecodeError as error:
        if encoding:
            what = f"it begins as {encoding} does, but is not {encoding}"
            raise PipelineError(where, what, _AS_UTF8) from error
        what = f"it is not UTF-8: byte 0x{data[error.start]:02x}, as Windows-1252 or Latin-1 has it"
        raise PipelineError(f"{where}:{_line(data, error.start)}", what, _AS_UTF8) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def refuse_mark(data: bytes, where: str, reader: str, but: str = "") -> None:
    """Raise PipelineError for data that begins with a byte order mark, `but` that of one encoding.

    `reader` is who cannot read it.
    """
    encoding = mark_of(data)
    if encoding not in ("", but):
        what = f"it begins with the byte order mark of {encoding}, which {reader} cannot read"
        raise PipelineError(where, what, "Save it as UTF-8 without a byte order mark.")


def mark_of(data: bytes) -> str:
    """Return the encoding that a byte order mark at the beginning announces, "" without one."""
    return next((name for mark, name in _MARKS.items() if data.startswith(mark)), "")


def _line(data: bytes, at: int) -> int:
    return data.count(b"\n", 0, at) + 1


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Yield an open file that replaces `path` when the block ends well, and is removed otherwise.

    Raises OSError: the caller knows what should be written.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path))
    try:
        with os.fdopen(handle, "wb") as part:
            yield part
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `target` when the block ends well, else is removed.

    Raises PipelineError where it cannot be written; an error inside the block stays as it is.
    """
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=target.parent, prefix=_prefix(target)))
    try:
        with writing(target):
            part.chmod(0o755)
        yield part
        with writing(target):
            if target.exists():
                old = Path(tempfile.mkdtemp(dir=target.parent, prefix=_prefix(target)))
                target.replace(old / target.name)
                part.replace(target)
                shutil.rmtree(old, ignore_errors=True)
            else:
                part.replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def remove_folder(folder: Path) -> None:
    """Remove a folder and read-only folders in it; leave what cannot be removed."""
    for base, _, _ in os.walk(folder):
        with suppress(OSError):
            Path(base).chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove what killed processes left half-written in a folder that no other one writes to."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if _HALF_WRITTEN.match(path.name):
            if path.is_dir():
                remove_folder(path)
            else:
                path.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError in the block into the error for `path`."""
    try:
        yield
    except OSError as error:
        raise PipelineError(
            str(path),
            f"cannot be written: {error.strerror or error}",
            "Look at the free space and the permissions there.",
        ) from error


@contextmanager
def reading(where: str, then: str = "") -> Iterator[None]:
    """Turn an OSError in the block into the error for what cannot be read, and what to do then."""
    try:
        yield
    except OSError as error:
        raise PipelineError(where, f"cannot be read: {error.strerror or error}", then) from error


def _prefix(path: Path) -> str:
    return f".{path.name[:100]}."
