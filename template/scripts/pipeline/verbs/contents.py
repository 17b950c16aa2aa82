"""What a package holds, ours or not, read without writing anything."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..archive.nupkg import PackageListing, read
from ..archive.zipreader import Archive, Entry, open_archive, read_member
from ..errors import PipelineError
from ..values.manifest import MANIFEST_NAME, Manifest
from .package import FUNCTION_ZIP

__all__ = ["Contents", "read_contents"]

# Far above any manifest, bill of materials or statement; they are read into memory as a whole.
_LARGEST_DOCUMENT = 16 << 20


@dataclass(frozen=True)
class Contents:
    """A package that was read and found sound.

    `manifest` is None for a package that this pipeline did not build; `note` says why where a
    file of that name lies in it. `function` is the listing of its function zip.
    """

    path: Path
    listing: PackageListing
    size: int
    sha256: str
    manifest: Manifest | None
    note: str
    function: Archive | None

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """The entries of the package's files by name."""
        return {file.name: file.entry for file in self.listing.files}

    def data(self, name: str) -> bytes | None:
        """Return the bytes of a small file, or None when the package has none of that name."""
        return _document(self.listing.archive, self.entries, name)


def read_contents(path: Path) -> Contents:
    """Read a package; raises PipelineError for what is no package, and for a hostile one."""
    listing = read(path)
    digest = _sha256(path)
    entries = {file.name: file.entry for file in listing.files}
    manifest, note = None, ""
    try:
        data = _document(listing.archive, entries, MANIFEST_NAME)
        if data is not None:
            manifest = Manifest.from_json(data, where=MANIFEST_NAME)
    except PipelineError as error:
        note = f"{error.where}: {error.what}"
    function = None
    if manifest is not None and FUNCTION_ZIP in entries:
        zipped = read_member(listing.archive, entries[FUNCTION_ZIP])
        function = open_archive(zipped, where=f"{path} {FUNCTION_ZIP}")
    size = path.stat().st_size
    return Contents(path, listing, size, digest, manifest, note, function)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _document(archive: Archive, entries: dict[str, Entry], name: str) -> bytes | None:
    entry = entries.get(name)
    if entry is None:
        return None
    if entry.size > _LARGEST_DOCUMENT:
        what = f"{entry.size} bytes are too many for such a file"
        raise PipelineError(name, what, "Do not trust this package.")
    return read_member(archive, entry)
