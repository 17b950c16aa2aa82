"""A folder as a feed: the flat layout, `Id.Version.nupkg` side by side."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..edge.files import reading, writing
from ..package.contents import Package
from ..project.versions import normal_version
from .compare import compare_file
from .feed import ABSENT, Found, Progress, State

# The errors of file systems without hard links.
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL)
_BLOCK = 1 << 20
_ENDING = ".nupkg"


@dataclass(frozen=True)
class FolderFeed:
    """An existing folder; a missing one may be a share that is not mounted.

    `link` makes a hard link; it raises FileExistsError where the new name is taken.
    """

    folder: Path
    link: Callable[[Path, Path], None] = os.link

    @property
    def name(self) -> str:
        """The folder's path."""
        return str(self.folder)

    def find(self, package: Package) -> Found:
        """Look for the file, in any case and spelling of the version."""
        then = "Make it, mount it, or correct --feed or feed in [tool.pipeline.push]."
        with reading(self.name, then):
            names = sorted(path.name for path in self.folder.iterdir())
        wanted = _identity(package.file_name, package.id)
        same = [name for name in names if _identity(name, package.id) == wanted]
        if not same:
            return ABSENT
        name = package.file_name if package.file_name in same else same[0]
        try:
            return compare_file(package, self.folder / name)
        except OSError as error:
            return Found(State.UNKNOWN, f"{name} cannot be read: {error.strerror}")

    def send(self, package: Package, progress: Progress) -> bool:
        """Copy the package in one step: a reader sees all of it or nothing."""
        target = self.folder / package.file_name
        with writing(target):
            handle, name = tempfile.mkstemp(dir=self.folder, prefix=".", suffix=".part")
            part = Path(name)
            try:
                with os.fdopen(handle, "wb") as file, package.path.open("rb") as source:
                    while block := source.read(_BLOCK):
                        file.write(block)
                        progress(file.tell(), package.size)
                    file.flush()
                    os.fsync(file.fileno())
                part.chmod(0o644)
                return self._place(part, target)
            finally:
                with contextlib.suppress(OSError):
                    part.unlink()

    def _place(self, part: Path, target: Path) -> bool:
        """Give a file its name unless that is taken, and tell whether it was free."""
        try:
            self.link(part, target)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        else:
            return True
        # Without links two pushes at the same moment may both find the name free. Writing under
        # the final name would be worse: readers would see half a package.
        if target.exists():
            return False
        part.replace(target)
        return True


def _identity(file_name: str, package_id: str) -> str:
    """Return a file's name in the one spelling that equal ids and versions share."""
    folded, start = file_name.casefold(), f"{package_id.casefold()}."
    if not folded.startswith(start) or not folded.endswith(_ENDING):
        return folded
    return start + normal_version(folded[len(start) : -len(_ENDING)]) + _ENDING
