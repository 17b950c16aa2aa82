"""NuGet packages: zip files with Open Packaging Conventions (OPC) parts.

Old clients find the nuspec through `_rels/.rels` and see only files whose content type is
declared, so all five parts are written: relationships, nuspec, files, core properties and
content types. Newer clients and Octopus need the nuspec alone. File names are percent-encoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

from ..errors import PipelineError
from ..values.manifest import Source
from .extract import extract
from .names import first_clash, name_problem
from .nuspec import AS_ATTRIBUTE, AS_TEXT, Nuspec, parse, render_for_package
from .zipreader import DEFAULT_LIMITS, Archive, Entry, Limits, open_archive, read_member
from .zipwriter import Member, Raw, compress, write_zip

__all__ = ["PackageListing", "pack", "parts_around", "read", "unpack_like_octopus"]

_TYPES = "[Content_Types].xml"
_RELATIONSHIPS = "_rels/.rels"
_PROPERTIES = "package/services/metadata/core-properties/"
_OPC_FOLDERS = ("_rels/", "package/services/metadata/")
_PLAIN_EXTENSION = re.compile(r"[a-z0-9_-]+")
_XML = '<?xml version="1.0" encoding="utf-8"?>\n'
_OPC = "http://schemas.openxmlformats.org/package/2006"
_MANIFEST_TYPE = "http://schemas.microsoft.com/packaging/2010/07/manifest"
_CORE_RELATION = f"{_OPC}/relationships/metadata/core-properties"
_RELS_TYPE = "application/vnd.openxmlformats-package.relationships+xml"
_CORE_TYPE = "application/vnd.openxmlformats-package.core-properties+xml"
_FILE_TYPE = "application/octet"


@dataclass(frozen=True)
class PackageListing:
    """What a package holds, by real name: `files` are its content, `parts` what is around it."""

    archive: Archive
    nuspec: Nuspec
    files: Mapping[str, Entry]
    parts: Mapping[str, Entry]


def pack(
    nuspec: Nuspec,
    files: Mapping[str, Raw],
    output: Path,
    *,
    source: Source | None = None,
) -> str:
    """Write a package whose bytes depend on the arguments alone; return its SHA-256 in hex.

    `files` are payloads, stored or compressed, by their path in the package; `source` is what
    they were made from. Raises PipelineError for an empty package, names that some reader would
    lose, and where `write_zip` does.
    """
    if not files:
        raise PipelineError(str(output), "a package without files is refused by NuGet")
    for name in files:
        problem = _unpackable(name)
        if problem:
            raise PipelineError(str(output), f"{name!r}: {problem}", "Rename the file.")
    parts = parts_around(nuspec, files, source)
    members = [Member(quote(name), 0o644, payload) for name, payload in files.items()]
    members += [Member(name, 0o644, compress(data)) for name, data in parts.items()]
    return write_zip(output, members)


def parts_around(
    nuspec: Nuspec, files: Iterable[str], source: Source | None = None
) -> dict[str, bytes]:
    """Return what the format adds to files of these names, by name in the zip; first the nuspec."""
    identity = sha256(f"{nuspec.id}\n{nuspec.version}".encode()).hexdigest()
    properties = f"{_PROPERTIES}{identity[:32]}.psmdcp"
    manifest = f"{quote(nuspec.id)}.nuspec"
    return {
        manifest: render_for_package(nuspec, source),
        properties: _core_properties(nuspec),
        _RELATIONSHIPS: _relationships({_MANIFEST_TYPE: manifest, _CORE_RELATION: properties}),
        _TYPES: _content_types([*map(quote, files), manifest]),
    }


def read(path: Path, limits: Limits = DEFAULT_LIMITS) -> PackageListing:
    """List a package, made here or anywhere else, without writing anything.

    Raises PipelineError where `open_archive` does, for none or several root nuspecs, and for
    file names that are unsafe once they are decoded.
    """
    archive = open_archive(path, limits)
    named = [(_decoded(entry.name, str(path)), entry) for entry in archive.entries]
    clash = first_clash(name for name, _ in named)
    if clash:
        raise PipelineError(str(path), f"{clash[0]!r} and {clash[1]!r} clash when extracted")
    roots = [name for name, _ in named if _is_root_nuspec(name)]
    if len(roots) != 1:
        names = ", ".join(roots) or "none"
        raise PipelineError(
            str(path),
            f"a package has one .nuspec at its root, this file has {names}",
            "Check that it is a NuGet package.",
        )
    parts = {name: entry for name, entry in named if _is_root_nuspec(name) or _is_opc(name)}
    nuspec = parse(read_member(archive, parts[roots[0]]), f"{path}: {roots[0]}")
    files = {name: entry for name, entry in named if name not in parts}
    return PackageListing(archive, nuspec, files, parts)


def unpack_like_octopus(path: Path, folder: Path) -> None:
    """Extract a package into a missing or empty folder, with the losses of Octopus's extractor.

    It leaves out the OPC parts, every `.nuspec` in any folder and `*.nupkg.sha512`, decodes
    names, and restores no modes (Calamari, NupkgExtractor.cs). Raises PipelineError.
    """
    listing = read(path)
    names = {
        entry.name: name
        for name, entry in listing.files.items()
        if not name.lower().endswith((".nuspec", ".nupkg.sha512"))
    }
    extract(listing.archive, folder, names)


def _unpackable(name: str) -> str:
    lower = name.lower()
    checks = (
        (lower.startswith(("package", "_rels")), "old NuGet clients skip names that start so"),
        (
            _is_opc(name) or lower.endswith((".nuspec", ".psmdcp", ".rels", ".nupkg.sha512")),
            "the package format or Octopus keeps this name for itself",
        ),
        (
            any(part.endswith(".") for part in name.split("/")),
            "NuGet loses names that end in a dot",
        ),
    )
    return name_problem(name) or next((problem for wrong, problem in checks if wrong), "")


def _is_root_nuspec(name: str) -> bool:
    return "/" not in name and name.lower().endswith(".nuspec")


def _is_opc(name: str) -> bool:
    return name.lower() == _TYPES.lower() or name.lower().startswith(_OPC_FOLDERS)


def _decoded(name: str, where: str) -> str:
    try:
        decoded = unquote_to_bytes(name).decode()
    except UnicodeDecodeError as error:
        raise PipelineError(where, f"{name!r} does not decode to a file name") from error
    problem = name_problem(decoded)
    if problem:
        raise PipelineError(where, f"{name!r} decodes to {decoded!r}: {problem}")
    return decoded


def _relationships(targets: dict[str, str]) -> bytes:
    rows = "".join(
        f'  <Relationship Type="{kind}" Target="/{target}" '
        f'Id="R{sha256(kind.encode()).hexdigest()[:16]}" />\n'
        for kind, target in targets.items()
    )
    start = f'<Relationships xmlns="{_OPC}/relationships">\n'
    return f"{_XML}{start}{rows}</Relationships>\n".encode()


def _core_properties(nuspec: Nuspec) -> bytes:
    fields = {
        "dc:creator": nuspec.text("authors"),
        "dc:description": nuspec.text("description"),
        "dc:identifier": nuspec.id,
        "version": nuspec.version,
        "keywords": nuspec.text("tags"),
    }
    rows = "".join(
        f"  <{name}>{text.translate(AS_TEXT)}</{name}>\n" for name, text in fields.items()
    )
    start = (
        f'<coreProperties xmlns="{_OPC}/metadata/core-properties" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/">\n'
    )
    return f"{_XML}{start}{rows}</coreProperties>\n".encode()


def _content_types(names: Iterable[str]) -> bytes:
    extensions: dict[str, str] = {"psmdcp": _CORE_TYPE, "rels": _RELS_TYPE}
    others: list[str] = []
    for name in names:
        extension = name.rpartition("/")[2].rpartition(".")[2].lower()
        if "." in name.rpartition("/")[2] and _PLAIN_EXTENSION.fullmatch(extension):
            extensions[extension] = _FILE_TYPE
        else:
            others.append(name)
    rows = [
        f'  <Default Extension="{extension}" ContentType="{kind}" />'
        for extension, kind in sorted(extensions.items())
    ]
    rows += [
        f'  <Override PartName="/{name.translate(AS_ATTRIBUTE)}" ContentType="{_FILE_TYPE}" />'
        for name in sorted(others)
    ]
    start = f'<Types xmlns="{_OPC}/content-types">'
    return "\n".join([_XML + start, *rows, "</Types>", ""]).encode()
