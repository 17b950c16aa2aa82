"""A function's code on this machine: the unzipped package, and what runs it."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..archive.extract import extract
from ..archive.zipreader import FUNCTION_LIMITS, Archive, Entry, open_archive, read_member

__all__ = ["CodeFolder", "FunctionCode", "FunctionConfig", "remove_function", "unpack_function"]

_ACCOUNT = "123456789012"


@dataclass(frozen=True)
class FunctionCode:
    """Unzipped code, its handler, and the Python and runtime client (`ric`) that run it.

    `extra_paths` stand for what the runtime itself offers, like boto3; they and `ric` come
    last on the path, as on Lambda, so that the package's own files win.
    """

    folder: Path
    handler: str
    runtime_python: Path
    ric: Path
    extra_paths: tuple[Path, ...] = ()


@dataclass(frozen=True)
class FunctionConfig:
    """How Lambda would run the function; `memory` in MB, `timeout` in seconds."""

    name: str
    version: str = "$LATEST"
    arn: str = ""
    memory: int = 128
    timeout: float = 3
    region: str = "us-east-1"
    runtime: str = "python3.13"
    environment: Mapping[str, str] = field(default_factory=dict)
    endpoint: str = ""
    access_key: str = "local"
    secret_key: str = "local"  # noqa: S105 - what functions get instead of a secret
    log_group: str = ""
    log_format: str = "Text"
    init_timeout: float = 10

    def invoked_arn(self) -> str:
        """Return the ARN the function is told, made up when none was given."""
        return self.arn or f"arn:aws:lambda:{self.region}:{_ACCOUNT}:function:{self.name}"

    def group(self) -> str:
        """Return the log group's name."""
        return self.log_group or f"/aws/lambda/{self.name}"


def unpack_function(archive: Path | bytes, folder: Path, *, where: str = "") -> None:
    """Unzip a function into `folder` with its modes, readable only, as `/var/task` is.

    Raises PipelineError for an archive that is not sound.
    """
    extract(open_archive(archive, FUNCTION_LIMITS, where=where), folder)
    for base, _, files in os.walk(folder):
        for name in files:
            path = Path(base, name)
            path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o555)
        Path(base).chmod(0o555)


def remove_function(folder: Path) -> None:
    """Remove an unpacked function, read-only folders included."""
    for base, _, _ in os.walk(folder):
        Path(base).chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)


class CodeFolder:
    """A folder with an unpacked function that follows its zip through many versions of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: dict[str, Entry] = {}

    def update(self, zip_path: Path) -> None:
        """Make the folder what the zip holds, writing only what differs.

        Raises PipelineError for an archive that is not sound; then the next call starts afresh.
        """
        archive = open_archive(zip_path, FUNCTION_LIMITS)
        wanted = {entry.name: entry for entry in archive.entries}
        held, self._held = self._held, {}
        fresh = [entry for entry in archive.entries if _differ(entry, held.get(entry.name))]
        if held:
            self._change(archive, fresh, held.keys() - wanted.keys())
        else:
            self.remove()
            unpack_function(zip_path, self.path)
        for entry in fresh:
            # Python knows a compiled module by its source's size and second. Two saves within one
            # would pass for the same: the checksum of the source takes the place of its time.
            os.utime(self.path / entry.name, (entry.crc, entry.crc))
        self._held = wanted

    def remove(self) -> None:
        """Remove the folder."""
        remove_function(self.path)

    def _change(self, archive: Archive, fresh: Sequence[Entry], gone: Iterable[str]) -> None:
        paths = [self.path / entry.name for entry in fresh]
        lost = [self.path / name for name in gone]
        # A folder comes before what is in it.
        folders = sorted({folder for path in (*paths, *lost) for folder in self._above(path)})
        for folder in filter(Path.is_dir, folders):
            folder.chmod(0o755)
        for path in lost:
            path.unlink()
        for folder in reversed(folders):
            with contextlib.suppress(OSError):  # others are in it
                folder.rmdir()
        for path, entry in zip(paths, fresh, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.write_bytes(read_member(archive, entry))
            path.chmod(entry.mode & 0o555)
        for folder in filter(Path.is_dir, folders):
            folder.chmod(0o555)

    def _above(self, path: Path) -> list[Path]:
        return [folder for folder in path.parents if folder.is_relative_to(self.path)]


def _differ(entry: Entry, held: Entry | None) -> bool:
    return held is None or (entry.crc, entry.size, entry.mode) != (held.crc, held.size, held.mode)
