"""What a package holds, ours or not, read without writing anything."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ..archive.nupkg import PackageListing, read
from ..archive.zipreader import (
    FUNCTION_LIMITS,
    Archive,
    check_members,
    open_archive,
    read_member,
)
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

    def data(self, name: str) -> bytes | None:
        """Return the bytes of a small file, or None when the package has none of that name."""
        return _document(self.listing, name)


def read_contents(path: Path) -> Contents:
    """Read a package; raises PipelineError for what is no package, and for a hostile one.

    Every file in it is inflated once, and so is every file of its function zip.
    """
    listing = read(path)
    check_members(listing.archive)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    manifest, note = None, ""
    try:
        data = _document(listing, MANIFEST_NAME)
        if data is not None:
            manifest = Manifest.from_json(data, where=MANIFEST_NAME)
    except PipelineError as error:
        note = f"{error.where}: {error.what}"
    function = None
    if manifest is not None and FUNCTION_ZIP in listing.files:
        zipped = read_member(listing.archive, listing.files[FUNCTION_ZIP])
        function = open_archive(zipped, FUNCTION_LIMITS, where=f"{path} {FUNCTION_ZIP}")
        check_members(function)
    size = path.stat().st_size
    return Contents(path, listing, size, digest, manifest, note, function)


def _document(listing: PackageListing, name: str) -> bytes | None:
    entry = listing.files.get(name)
    if entry is None:
        return None
    if entry.size > _LARGEST_DOCUMENT:
        what = f"{entry.size} bytes are too many for such a file"
        raise PipelineError(name, what, "Do not trust this package.")
    return read_member(listing.archive, entry)
