"""A repository's cache: one lock for all of it, and a seal for each file and folder in it.

The lock is beside the folder. A process that reads or fills the cache shares it to the end of the
process; one that removes something holds it exclusively. So nothing is removed while it is read,
packed or run. The system frees the lock of a killed process, and what that left half-written is
removed by the next process that finds no other one. Processes that fill the same entry at the same
time take another lock, in the folder, after this one.

**A seal** beside each thing: a file's SHA-256, a digest of a folder's names and sizes. A disk that
ran full or a curious hand must not end up in a package. What does not fit is made again, so both
checks answer with None or False and raise nothing. What is sealed was held against its source
before: see `function/python/install.py`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import NamedTuple

from .files import new_folder, sweep, write_whole
from .locks import exclusive, shared

_SEAL = ".sha256"
_BYTECODE = "__pycache__"


class Sealed(NamedTuple):
    """A file's bytes, and their SHA-256 in hex."""

    data: bytes
    sha256: str


def shared_use(folder: Path, waiting: Callable[[], None]) -> AbstractContextManager[None]:
    """Share a cache for reading and filling; `waiting` is called while it is held exclusively."""
    return shared(_lock_of(folder), waiting, lambda: _sweep(folder))


def exclusive_use(folder: Path, waiting: Callable[[], None]) -> AbstractContextManager[None]:
    """Hold a cache for removing from it; `waiting` is called while a process uses it."""
    return exclusive(_lock_of(folder), waiting)


def keep(path: Path, data: bytes) -> None:
    """Write a file and its SHA-256 beside it."""
    write_whole(path, data)
    seal(path, hashlib.sha256(data).hexdigest())


def seal(path: Path, sha256: str) -> None:
    """Write beside a file that its bytes have this SHA-256, in hex."""
    write_whole(_seal_of(path), sha256.encode())


def sealed(path: Path) -> Sealed | None:
    """Return what a file holds, or None when it is missing or not what was sealed."""
    try:
        expected = _seal_of(path).read_bytes()
        data = path.read_bytes()
    except OSError:
        return None
    digest = hashlib.sha256(data).hexdigest()
    return Sealed(data, digest) if _fits(path, expected, digest.encode()) else None


def seal_folder(folder: Path, target: Path) -> None:
    """Write a digest of the folder's listing beside `target`, the path it will be moved to."""
    write_whole(_seal_of(target), _listing(folder))


def is_whole_folder(folder: Path) -> bool:
    """Tell whether the folder has the files it was sealed with; compiled modules do not count."""
    try:
        return folder.is_dir() and _fits(folder, _seal_of(folder).read_bytes(), _listing(folder))
    except OSError:
        return False


def kept_folder(cache: Path, name: str, made_from: str, fill: Callable[[Path], None]) -> Path:
    """Return a folder of a cache that stands for what it is made from, filled unless it is whole.

    Processes that want the same `name` at the same time wait for each other.
    """
    folder = cache / f"{name}-{hashlib.sha256(made_from.encode()).hexdigest()[:16]}"
    if not is_whole_folder(folder):
        with exclusive(cache / f"{name}.lock", lambda: None):
            if not is_whole_folder(folder):
                with new_folder(folder) as part:
                    fill(part)
                    seal_folder(part, folder)
    return folder


def clear(folder: Path) -> tuple[int, int]:
    """Empty a cache that is held exclusively; return how many files and bytes were removed."""
    return remove(sorted(folder.iterdir()) if folder.is_dir() else ())


def clear_unused(folder: Path, since: float) -> tuple[int, int]:
    """Remove what was used last before `since`, in seconds since 1970; return as `clear` does."""
    stale = [
        path
        for place in _places(folder)
        for seal in place.glob(f"*{_SEAL}")
        if seal.stat().st_mtime < since
        for path in (seal, seal.with_name(seal.name.removesuffix(_SEAL)))
    ]
    found = remove(stale)
    remove(made for made in folder.glob("made-*") if not [*made.rglob(f"*{_SEAL}")])
    return found


def remove(paths: Iterable[Path]) -> tuple[int, int]:
    """Remove files and folders that are there; return how many files and bytes that were."""
    files = size = 0
    for path in paths:
        is_folder = path.is_dir() and not path.is_symlink()
        inside = [*path.rglob("*")] if is_folder else [path]
        counted = [item.lstat().st_size for item in inside if item.is_symlink() or item.is_file()]
        files, size = files + len(counted), size + sum(counted)
        if is_folder:
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return files, size


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _sweep(folder: Path) -> None:
    for place in _places(folder):
        sweep(place)


def _places(folder: Path) -> tuple[Path, ...]:
    return (folder, *folder.glob("made-*"), *folder.glob("made-*/dependencies"))


def _fits(path: Path, expected: bytes, found: bytes) -> bool:
    """Compare, and let the seal say when its thing was used last."""
    if expected != found:
        return False
    with suppress(OSError):
        os.utime(_seal_of(path))
    return True


def _seal_of(path: Path) -> Path:
    return path.with_name(path.name + _SEAL)


def _listing(folder: Path) -> bytes:
    lines = []
    for base, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != _BYTECODE]
        place = os.path.relpath(base, folder)
        with os.scandir(base) as found:
            sizes = {item.name: item.stat(follow_symlinks=False).st_size for item in found}
        lines += [f"{place}/{name} {sizes.get(name)}" for name in files]
    return hashlib.sha256("\n".join(sorted(lines)).encode("utf-8", "replace")).hexdigest().encode()
