"""A folder that is kept equal to an archive: only what differs is written or removed.

Unpacking thousands of files for each build would cost more than the build. A file counts as equal
when its size fits and its time is the one set here, which is made from the checksum: compiled
modules are looked up by size and time too, so they stay valid exactly as long as their source.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ..errors import PipelineError
from .zipreader import Archive, Entry, read_member

__all__ = ["mirror"]

_LATEST = 0x7FFFFFFF  # the last second that every file system knows


def mirror(archive: Archive, folder: Path) -> int:
    """Make `folder` hold the archive's files and nothing else; return how many were written.

    Files are read-only. The caller makes sure that nobody else uses the folder meanwhile.
    Raises PipelineError for damaged members and when something cannot be written.
    """
    missing = {entry.name: entry for entry in archive.entries}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for base, folders, files in os.walk(folder, topdown=False):
            _tidy(Path(base), [*folders, *files], folder, missing)
        for entry in missing.values():
            _write(folder / entry.name, read_member(archive, entry), entry)
    except OSError as error:
        raise PipelineError(
            str(error.filename or folder),
            f"cannot be written from {archive.where}: {error.strerror or error}",
            "Look at the free space and the permissions there.",
        ) from error
    return len(missing)


def _tidy(base: Path, names: list[str], folder: Path, missing: dict[str, Entry]) -> None:
    for name in names:
        path = base / name
        facts = path.lstat()
        if stat.S_ISDIR(facts.st_mode):
            # An empty folder would be imported as a package; the parent comes after its children.
            if not any(path.iterdir()):
                path.rmdir()
            continue
        entry = missing.get(path.relative_to(folder).as_posix())
        if entry and (facts.st_mode, facts.st_size, int(facts.st_mtime)) == _facts(entry):
            del missing[entry.name]
        else:
            path.unlink()


def _write(path: Path, data: bytes, entry: Entry) -> None:
    mode, _, seconds = _facts(entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(stat.S_IMODE(mode))
    # Last: a file that was not written to its end has no such time.
    os.utime(path, (seconds, seconds))


def _facts(entry: Entry) -> tuple[int, int, int]:
    return stat.S_IFREG | (entry.mode & 0o555), entry.size, entry.crc & _LATEST
