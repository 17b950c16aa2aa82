"""Writing the files of an archive into a folder: all of them, or nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..errors import PipelineError
from .names import first_clash, name_problem
from .zipreader import Archive, read_member

__all__ = ["extract"]


def extract(
    archive: Archive, folder: Path, *, modes: bool = True, names: Mapping[str, str] | None = None
) -> None:
    """Write the archive's files into `folder`, which must be missing or empty.

    With `modes` the files get the permissions the archive records, else 0644. `names` maps
    entry names to paths below `folder` and leaves out what it does not mention. Files appear in
    `folder` only once all of them are written and checked. Raises PipelineError.
    """
    targets = {entry.name: entry.name for entry in archive.entries} if names is None else names
    _check(archive, targets)
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise PipelineError(
                str(folder), "is not an empty folder", "Remove it, or name another."
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name[:100]}."))
        try:
            _write(archive, staging, targets, modes=modes)
            staging.chmod(0o755)
            if folder.exists():
                folder.rmdir()
            staging.rename(folder)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
    except OSError as error:
        raise PipelineError(
            str(folder),
            f"could not be written from {archive.where}: {error.strerror or error}",
            "Check the free space and the permissions.",
        ) from error


def _check(archive: Archive, targets: Mapping[str, str]) -> None:
    for name, target in targets.items():
        problem = name_problem(target)
        if problem:
            raise PipelineError(archive.where, f"{name!r} as {target!r}: {problem}")
    clash = first_clash(targets.values())
    if clash:
        raise PipelineError(archive.where, f"{clash[0]!r} and {clash[1]!r} clash when extracted")


def _write(archive: Archive, staging: Path, targets: Mapping[str, str], *, modes: bool) -> None:
    for entry in archive.entries:
        if entry.name not in targets:
            continue
        path = staging / targets[entry.name]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(read_member(archive, entry))
        path.chmod(entry.mode if modes else 0o644)
