"""The reader of packages: every verb that takes a .nupkg opens it here.

A package may come from anybody. All of it is checked before anything is done with it: headers,
names, checksums, id and version, and for one that this pipeline built whether its manifest,
nuspec and function zip match. Nothing is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from ..core.errors import PipelineError
from ..core.manifest import MANIFEST_NAME, Manifest, ZipFacts
from ..core.names import DEPLOY_SCRIPT, FUNCTION_ZIP
from ..core.strict_json import LARGEST_DOCUMENT
from ..core.text import quoted
from ..edge.files import new_folder, reading, writing
from ..zip.member_names import first_clash, name_problem
from ..zip.reader import (
    DEFAULT_LIMITS,
    DISTRUST,
    FUNCTION_LIMITS,
    Archive,
    Entry,
    Limits,
    check_members,
    open_archive,
    read_member,
)
from .nupkg import LOST_ON_A_WORKER, is_part
from .nuspec import Nuspec, parse_packed


@dataclass(frozen=True)
class PackageListing:
    """What a package holds, by real name: `files` are its content, `parts` what is around it."""

    archive: Archive
    nuspec: Nuspec
    files: Mapping[str, Entry]
    parts: Mapping[str, Entry]


@dataclass(frozen=True)
class Package:
    """A package that was read and found sound; `size` in bytes, `sha256` in hex.

    `manifest` and `function`, the listing of the function zip, are None for a package that this
    pipeline did not build; `note` then says what is wrong with a file of the manifest's name.
    """

    path: Path
    listing: PackageListing
    size: int
    sha256: str
    manifest: Manifest | None
    note: str
    function: Archive | None

    @classmethod
    def open(cls, path: Path) -> Package:
        """Read a package, inflating every file in it and in its function zip once.

        Raises PipelineError for what is damaged, forged, or not a package.
        """
        with reading(str(path), "Name a .nupkg file."), path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
        listing = list_package(path)
        check_members(listing.archive)
        manifest, note, function = _contents(listing)
        return cls(path, listing, size, sha256, manifest, note, function)

    @property
    def id(self) -> str:
        """The id in the nuspec."""
        return self.listing.nuspec.id

    @property
    def version(self) -> str:
        """The version in the nuspec."""
        return self.listing.nuspec.version

    def data(self, name: str) -> bytes | None:
        """Return the bytes of a small file, or None when the package has none of that name."""
        return _document(self.listing, name)

    @property
    def file_name(self) -> str:
        """The file name that feeds and Octopus read id and version from."""
        return f"{self.id}.{self.version}.nupkg"

    def own_manifest(self) -> Manifest:
        """Return the manifest; raises PipelineError for a package that others made."""
        if self.manifest is None:
            raise PipelineError(
                self.path.name,
                self.note or f"there is no {MANIFEST_NAME} in it",
                "Name a package that `python3 tasks.py build` made.",
            )
        return self.manifest

    def function_zip(self) -> bytes:
        """Return the bytes of a package of ours that Lambda runs."""
        return read_member(self.listing.archive, self.listing.files[FUNCTION_ZIP])

    def unpack_like_octopus(self, folder: Path) -> None:
        """Write the files into a new folder, with the losses of Octopus's extractor.

        It leaves out the format's parts, every `.nuspec` in any folder and `*.nupkg.sha512`,
        decodes names, and restores no modes. Raises PipelineError.
        """
        with new_folder(folder) as part:
            for name, entry in self.listing.files.items():
                if not name.lower().endswith(LOST_ON_A_WORKER):
                    path = part / name
                    with writing(folder / name):
                        path.parent.mkdir(parents=True, exist_ok=True)
                        path.write_bytes(read_member(self.listing.archive, entry))
                        path.chmod(0o644)


def list_package(path: Path, limits: Limits = DEFAULT_LIMITS) -> PackageListing:
    """List a package by its headers and its nuspec, without looking at the bytes of its files.

    Raises PipelineError where `open_archive` does, for none or several root nuspecs, for an id
    or version that is not valid, and for file names that are unsafe once they are decoded.
    """
    archive = open_archive(path, limits)
    named = [(_decoded(entry.name, str(path)), entry) for entry in archive.entries]
    clash = first_clash(name for name, _ in named)
    if clash:
        what = f"{quoted(clash[0])} and {quoted(clash[1])} clash when extracted"
        raise PipelineError(str(path), what, DISTRUST)
    roots = [name for name, _ in named if _is_root_nuspec(name)]
    if len(roots) != 1:
        names = ", ".join(roots) or "none"
        what = f"a package has one .nuspec at its root, this file has {names}"
        raise PipelineError(str(path), what, "Check that it is a NuGet package.")
    parts = {name: entry for name, entry in named if _is_root_nuspec(name) or is_part(name)}
    nuspec = parse_packed(read_member(archive, parts[roots[0]]), f"{path}: {roots[0]}")
    files = {name: entry for name, entry in named if name not in parts}
    return PackageListing(archive, nuspec, files, parts)


def _contents(listing: PackageListing) -> tuple[Manifest | None, str, Archive | None]:
    """Return manifest, note and function zip of a package; those of one made here must match.

    Its files tell whether it was made here: without a manifest that can be read it is damaged.
    """
    files, path = listing.files, listing.archive.where
    made_here = FUNCTION_ZIP in files and (MANIFEST_NAME in files or DEPLOY_SCRIPT in files)
    data = _document(listing, MANIFEST_NAME)
    if data is None:
        if made_here:
            raise _damaged(path, f"there is no {MANIFEST_NAME} in it, but a {FUNCTION_ZIP}")
        return None, "", None
    try:
        manifest = Manifest.from_json(data, where=f"{path} {MANIFEST_NAME}")
    except PipelineError as error:
        if made_here:
            raise
        return None, f"{MANIFEST_NAME}: {error.what}", None
    if FUNCTION_ZIP not in files:
        raise _damaged(path, f"there is no {FUNCTION_ZIP} in it")
    zipped = read_member(listing.archive, files[FUNCTION_ZIP])
    function = open_archive(zipped, FUNCTION_LIMITS, where=f"{path} {FUNCTION_ZIP}")
    check_members(function)
    unzipped = sum(entry.size for entry in function.entries)
    found = ZipFacts.of(zipped, unzipped, len(function.entries))
    wrong = manifest.function_zip.mismatch(found)
    if wrong:
        raise _damaged(path, f"{FUNCTION_ZIP}: {wrong}")
    packed = f"{listing.nuspec.id} {listing.nuspec.version}"
    built = f"{manifest.package_id} {manifest.version}"
    if packed != built:
        raise _damaged(path, f"the nuspec says {packed}, the manifest {built}")
    return manifest, "", function


def _damaged(path: str, what: str) -> PipelineError:
    then = "It was damaged or edited. Take it from the feed again, or build it again."
    return PipelineError(path, what, then)


def _document(listing: PackageListing, name: str) -> bytes | None:
    entry = listing.files.get(name)
    if entry is None:
        return None
    if entry.size > LARGEST_DOCUMENT:
        what = f"{entry.size} bytes are too many for such a file"
        raise PipelineError(f"{listing.archive.where} {name}", what, DISTRUST)
    return read_member(listing.archive, entry)


def _is_root_nuspec(name: str) -> bool:
    return "/" not in name and name.lower().endswith(".nuspec")


def _decoded(name: str, where: str) -> str:
    try:
        decoded = unquote_to_bytes(name).decode()
    except UnicodeDecodeError as error:
        what = f"{quoted(name)} does not decode to a file name"
        raise PipelineError(where, what, DISTRUST) from error
    problem = name_problem(decoded)
    if problem:
        what = f"{quoted(name)} decodes to {quoted(decoded)}: {problem}"
        raise PipelineError(where, what, DISTRUST)
    return decoded
