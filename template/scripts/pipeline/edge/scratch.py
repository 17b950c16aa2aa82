"""Temporary folders that the next process removes when the one that made them was killed.

All that `tempfile` makes in a process goes into a folder of that process, below one of the user.
A process holds a lock beside its folder; folders whose lock is free are removed by the next one.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .files import remove_folder
from .locks import exclusive, exclusive_if_free

_HOME_LOCK = ".lock"
_PRIVATE = 0o700


@contextmanager
def own_temporary_folder() -> Iterator[None]:
    """Let `tempfile` use a folder of this process as long as the block lasts.

    Where that cannot be made, `tempfile` works as usual, and its own errors come where it is used.
    """
    with ExitStack() as held:
        home = _home()
        if home is None:
            yield
            return
        with exclusive(home / _HOME_LOCK, lambda: None):
            _sweep(home)
            folder = Path(tempfile.mkdtemp(dir=home, prefix=""))
            lock = folder.with_suffix(".lock")
            held.enter_context(exclusive(lock, lambda: None))
        before, tempfile.tempdir = tempfile.tempdir, str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before
            remove_folder(folder)
            # Windows cannot remove an open file; the next process does.
            if os.name != "nt":
                lock.unlink(missing_ok=True)


def _home() -> Path | None:
    """Return the user's folder, or None when it cannot be made, or is open to others."""
    user = f"-{os.getuid()}" if hasattr(os, "getuid") else ""
    try:
        home = Path(tempfile.gettempdir(), f"copier-lambda{user}")
        home.mkdir(mode=_PRIVATE, exist_ok=True)
        facts = home.lstat()
    except OSError:
        return None
    if user and (facts.st_uid != os.getuid() or stat.S_IMODE(facts.st_mode) != _PRIVATE):
        return None
    return home if stat.S_ISDIR(facts.st_mode) and os.access(home, os.W_OK) else None


def _sweep(home: Path) -> None:
    for lock in home.glob("?*.lock"):
        with exclusive_if_free(lock) as free:
            if free:
                remove_folder(lock.with_suffix(""))
        if free:
            lock.unlink(missing_ok=True)
