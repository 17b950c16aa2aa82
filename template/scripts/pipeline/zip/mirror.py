"""A folder that holds the files of an archive and is kept equal to it.

Unpacking thousands of files again for each build would cost more than the build, so only what
differs is written or removed. A file counts as equal when its size fits and its time is the one
set here, which is made from the checksum: compiled modules are looked up by size and time too, so
they stay valid exactly as long as their source.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ..core.errors import PipelineError
from ..edge.files import remove_folder
from .reader import Archive, Entry, read_member

_LATEST = 0x7FFFFFFF  # the last second that every file system knows


def mirror(archive: Archive, folder: Path, *, read_only: bool = False) -> int:
    """Make `folder` hold the archive's files and nothing else; return how many were written.

    Files are read-only, with `read_only` the folders too. The caller makes sure that nobody else
    uses the folder meanwhile. Raises PipelineError for damaged members and when something cannot
    be written; the next call puts right what is left then.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _follow(archive, str(folder), read_only=read_only)
    except OSError as error:
        what = f"cannot be written from {archive.where}: {error.strerror or error}"
        then = "Look at the free space and permissions there; temporary files go to TMPDIR."
        raise PipelineError(str(error.filename or folder), what, then) from error


def _follow(archive: Archive, folder: str, *, read_only: bool) -> int:
    """Remove what differs from the archive, write what is missing then, and count that."""
    missing = {entry.name: entry for entry in archive.entries}
    folders: set[str] = set()
    for name in missing:
        while (name := name.rpartition("/")[0]) and name not in folders:
            folders.add(name)
    for base, names, files in os.walk(folder):
        if read_only:
            Path(base).chmod(0o755)
        below = f"{base[len(folder) + 1 :]}/".lstrip("/").replace(os.sep, "/")
        links = [name for name in names if os.path.islink(f"{base}/{name}")]  # noqa: PTH114
        for name in (*files, *links):
            entry = missing.get(below + name)
            if entry and _is_written(os.lstat(f"{base}/{name}"), entry):
                del missing[below + name]
            else:
                Path(base, name).unlink()
        # An empty folder would be imported as a package.
        for name in {*names}.difference(links):
            if below + name not in folders:
                remove_folder(Path(base, name))
    for entry in missing.values():
        path = Path(folder, entry.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(read_member(archive, entry))
        path.chmod(entry.mode & 0o555)
        # Last: a file that was not written to its end has no such time.
        os.utime(path, (entry.crc & _LATEST, entry.crc & _LATEST))
    for base, _, _ in os.walk(folder) if read_only else ():
        Path(base).chmod(0o555)
    return len(missing)


def _is_written(found: os.stat_result, entry: Entry) -> bool:
    facts = (stat.S_IFREG | (entry.mode & 0o555), entry.size, entry.crc & _LATEST)
    return (found.st_mode, found.st_size, int(found.st_mtime)) == facts
