"""Writing NuGet packages: zip files with Open Packaging Conventions (OPC) parts.

Old clients find the nuspec through `_rels/.rels` and see only files whose content type is
declared, so all five parts are written: relationships, nuspec, files, core properties and
content types. Newer clients and Octopus need the nuspec alone. File names are percent-encoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from ..core.errors import PipelineError
from ..core.manifest import Source
from ..zip.member_names import name_problem
from ..zip.writer import Member, Raw, compress, write_zip
from .nuspec import AS_ATTRIBUTE, AS_TEXT, Nuspec, render_for_package

_TYPES = "[Content_Types].xml"
_RELATIONSHIPS = "_rels/.rels"
_PROPERTIES = "package/services/metadata/core-properties/"
_OPC_FOLDERS = ("_rels/", "package/services/metadata/")
# Octopus's extractor leaves these out, in any folder (Calamari, NupkgExtractor.cs).
LOST_ON_A_WORKER = (".nuspec", ".nupkg.sha512")
# What NuGet adds to a package that it signs.
SIGNATURE = ".signature.p7s"
_PLAIN_EXTENSION = re.compile(r"[a-z0-9_-]+")
_XML = '<?xml version="1.0" encoding="utf-8"?>\n'
_OPC = "http://schemas.openxmlformats.org/package/2006"
_MANIFEST_TYPE = "http://schemas.microsoft.com/packaging/2010/07/manifest"
_CORE_RELATION = f"{_OPC}/relationships/metadata/core-properties"
_RELS_TYPE = "application/vnd.openxmlformats-package.relationships+xml"
_CORE_TYPE = "application/vnd.openxmlformats-package.core-properties+xml"
_FILE_TYPE = "application/octet"


def pack(
    nuspec: Nuspec, files: Mapping[str, Raw], output: Path, *, source: Source | None = None
) -> str:
    """Write a package whose bytes depend on the arguments alone; return its SHA-256 in hex.

    `files` are payloads, stored or compressed, by their path in the package; `source` is what
    they were made from. Raises PipelineError for an empty package, names that some reader would
    lose, and where `write_zip` does.
    """
    if not files:
        raise PipelineError(str(output), "NuGet refuses a package without files", "Add a <file>.")
    for name in files:
        problem = _unpackable(name)
        if problem:
            raise PipelineError(str(output), f"{name!r}: {problem}", "Rename the file.")
    parts = package_parts(nuspec, files, source)
    members = [Member(quote(name), 0o644, payload) for name, payload in files.items()]
    members += [Member(name, 0o644, compress(data)) for name, data in parts.items()]
    return write_zip(output, members)


def package_parts(
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


def _unpackable(name: str) -> str:
    lower = name.lower()
    checks = (
        (lower.startswith(("package", "_rels")), "old NuGet clients skip names that start so"),
        (
            is_part(name) or lower.endswith((".psmdcp", ".rels", *LOST_ON_A_WORKER)),
            "the package format or Octopus keeps this name for itself",
        ),
        (
            any(part.endswith(".") for part in name.split("/")),
            "NuGet loses names that end in a dot",
        ),
    )
    return name_problem(name) or next((problem for wrong, problem in checks if wrong), "")


def is_part(name: str) -> bool:
    """Tell whether a file of that name belongs to the format, and is not content."""
    return name.lower() == _TYPES.lower() or name.lower().startswith(_OPC_FOLDERS)


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
