"""Writing the files of an archive into a folder: into a new one, or into one that is kept equal.

A new folder gets all of them, or nothing. Unpacking thousands of files again for each build would
cost more than the build, so in a folder that is kept only what differs is written or removed. A
file counts as equal when its size fits and its time is the one set here, which is made from the
checksum: compiled modules are looked up by size and time too, so they stay valid exactly as long
as their source.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from ..core.errors import PipelineError
from ..edge.files import replacing_folder
from .member_names import first_clash, name_problem
from .reader import Archive, Entry, read_member

_LATEST = 0x7FFFFFFF  # the last second that every file system knows

_Tree = dict[str, "Entry | _Tree"]


def extract(archive: Archive, folder: Path, names: Mapping[str, str]) -> None:
    """Write files of the archive into `folder`, which must be missing or empty, with mode 0644.

    `names` maps entry names to paths below `folder`. Files appear in `folder` only once all of
    them are written and checked. Raises PipelineError.
    """
    _check(archive, names)
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            what = "is not an empty folder"
            raise PipelineError(str(folder), what, "Remove it, or name another.")
        with replacing_folder(folder) as staging:
            for entry in archive.entries:
                if entry.name in names:
                    path = staging / names[entry.name]
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(read_member(archive, entry))
                    path.chmod(0o644)
            if folder.exists():
                folder.rmdir()
    except OSError as error:
        what = f"could not be written from {archive.where}: {error.strerror or error}"
        then = "Check the free space and the permissions."
        raise PipelineError(str(folder), what, then) from error


def mirror(archive: Archive, folder: Path, *, read_only: bool = False) -> int:
    """Make `folder` hold the archive's files and nothing else; return how many were written.

    Files are read-only, with `read_only` the folders too. The caller makes sure that nobody else
    uses the folder meanwhile. Raises PipelineError for damaged members and when something cannot
    be written; the next call puts right what is left then.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _follow(archive, str(folder), _tree(archive), read_only=read_only)
    except OSError as error:
        what = f"cannot be written from {archive.where}: {error.strerror or error}"
        then = "Look at the free space and permissions there; temporary files go to TMPDIR."
        raise PipelineError(str(error.filename or folder), what, then) from error


def _check(archive: Archive, targets: Mapping[str, str]) -> None:
    for name, target in targets.items():
        problem = name_problem(target)
        if problem:
            raise PipelineError(archive.where, f"{name!r} as {target!r}: {problem}")
    clash = first_clash(targets.values())
    if clash:
        raise PipelineError(archive.where, f"{clash[0]!r} and {clash[1]!r} clash when extracted")


def _tree(archive: Archive) -> _Tree:
    """Return the entries by name, in a mapping for each folder."""
    folders: dict[str, _Tree] = {"": {}}

    def of(path: str) -> _Tree:
        if path not in folders:
            above, _, name = path.rpartition("/")
            folders[path] = of(above)[name] = {}
        return folders[path]

    for entry in archive.entries:
        above, _, name = entry.name.rpartition("/")
        of(above)[name] = entry
    return folders[""]


def _follow(archive: Archive, folder: str, tree: _Tree, *, read_only: bool) -> int:
    """Make one folder what the tree says, and all folders in it; return how many files it took."""
    if read_only:
        Path(folder).chmod(0o755)
    missing = dict(tree)
    with os.scandir(folder) as items:
        found = list(items)
    for item in found:
        wanted = tree.get(item.name)
        if not item.is_dir(follow_symlinks=False):
            if isinstance(wanted, Entry) and _is_written(item.stat(follow_symlinks=False), wanted):
                del missing[item.name]
            else:
                Path(item.path).unlink()
        elif not isinstance(wanted, dict):
            # An empty folder would be imported as a package.
            _follow(archive, item.path, {}, read_only=read_only)
            Path(item.path).rmdir()
    written = 0
    for name, wanted in missing.items():
        path = Path(folder, name)
        if isinstance(wanted, Entry):
            _write(path, read_member(archive, wanted), wanted)
            written += 1
        else:
            path.mkdir(exist_ok=True)
            written += _follow(archive, str(path), wanted, read_only=read_only)
    if read_only:
        Path(folder).chmod(0o555)
    return written


def _write(path: Path, data: bytes, entry: Entry) -> None:
    mode, _, seconds = _facts(entry)
    path.write_bytes(data)
    path.chmod(stat.S_IMODE(mode))
    # Last: a file that was not written to its end has no such time.
    os.utime(path, (seconds, seconds))


def _is_written(found: os.stat_result, entry: Entry) -> bool:
    return (found.st_mode, found.st_size, int(found.st_mtime)) == _facts(entry)


def _facts(entry: Entry) -> tuple[int, int, int]:
    return stat.S_IFREG | (entry.mode & 0o555), entry.size, entry.crc & _LATEST
