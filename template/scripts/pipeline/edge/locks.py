"""Locks on files. The system frees a lock when its process ends, even when it is killed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from .files import writing

# Windows has no shared locks: there each process locks one byte of so many.
_BYTES = 64
_LOOKS, _BETWEEN = 20, 0.01


@contextmanager
def exclusive(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a lock file exclusively; `waiting` is called once when another process holds it."""
    with _opened(path) as handle:
        if not _take(handle, shared=False):
            waiting()
            _take(handle, shared=False, wait=True)
        yield


@contextmanager
def exclusive_if_free(path: Path) -> Iterator[bool]:
    """Hold a lock file and yield True; yield False at once when another process holds it."""
    with _opened(path) as handle:
        yield _take(handle, shared=False)


@contextmanager
def shared(path: Path, waiting: Callable[[], None], first: Callable[[], None]) -> Iterator[None]:
    """Share a lock file with other processes; `waiting` is called when one holds it exclusively.

    When no process holds it, `first` is called before, under an exclusive lock.
    """
    with _opened(path) as handle:
        if _take(handle, shared=False):
            first()
            _free(handle)
        for _ in range(_LOOKS):
            # Another process may be in its `first`, which is too short for `waiting`.
            if _take(handle, shared=True):
                break
            time.sleep(_BETWEEN)
        else:
            waiting()
            _take(handle, shared=True, wait=True)
        yield


@contextmanager
def shared_once_made(
    path: Path, waiting: Callable[[], None], make: Callable[[], None], is_made: Callable[[], bool]
) -> Iterator[None]:
    """Share a lock file once what it is for is as wanted: it is made while no process uses it."""
    while True:
        with shared(path, waiting, make):
            if is_made():
                yield
                return
        # Who shares it with us has it as it was wanted before.
        with exclusive(path, waiting):
            make()


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("a+b")
    with handle:
        yield handle


if sys.platform == "win32":
    import msvcrt

    def _take(handle: IO[bytes], *, shared: bool, wait: bool = False) -> bool:
        while True:
            for place, size in [(n, 1) for n in range(_BYTES)] if shared else [(0, _BYTES)]:
                with suppress(OSError):
                    handle.seek(place)
                    msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, size)
                    return True
            if not wait:
                return False
            time.sleep(_BETWEEN)

    def _free(handle: IO[bytes]) -> None:
        handle.seek(0)
        msvcrt.locking(handle.fileno(), msvcrt.LK_UNLCK, _BYTES)

else:
    import fcntl

    def _take(handle: IO[bytes], *, shared: bool, wait: bool = False) -> bool:
        how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(handle, how if wait else how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _free(handle: IO[bytes]) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)
