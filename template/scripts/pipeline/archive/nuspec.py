"""The .nuspec file: read safely, its tokens filled in, and written again for the package.

Metadata is kept as a small tree, so that elements of any release of the format survive. The
rules for ids, versions and tokens are those of NuGet 2.8.7 and of NuGet.Client together: what
passes here is read by every client and by Octopus.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ..errors import PipelineError
from ..values.manifest import Source
from ..values.names import LONGEST_ID, package_id_problem, package_version_problem
from .globs import FileEntry
from .zipindex import DISTRUST

__all__ = [
    "AS_ATTRIBUTE",
    "AS_TEXT",
    "Element",
    "Nuspec",
    "check_id",
    "check_version",
    "fill_tokens",
    "parse",
    "render_for_package",
]

_NAMESPACE = "http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd"
_REQUIRED = ("id", "version", "authors", "description")
_LARGEST = 1 << 20
_DEEPEST = 12
_LONGEST_TAG = 20
_LARGEST_NUMBER = 2**31 - 1
_VERSION = re.compile(r"([0-9]{1,10}(?:\.[0-9]{1,10}){2,3})(?:-([A-Za-z][0-9A-Za-z-]*))?")
_TOKEN = re.compile(r"\$(\w*)\$")
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# For `str.translate`; the standard library's own escaping brings all of urllib along. A bare
# carriage return would come back as a line feed.
AS_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
AS_ATTRIBUTE = {**AS_TEXT, **str.maketrans({'"': "&quot;", "\n": "&#10;", "\t": "&#9;"})}


@dataclass(frozen=True)
class Element:
    """An XML element without its namespace; text around children is dropped."""

    name: str
    text: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    children: tuple[Element, ...] = ()


@dataclass(frozen=True)
class Nuspec:
    """A parsed nuspec; `where` names it in errors."""

    metadata: tuple[Element, ...]
    files: tuple[FileEntry, ...]
    where: str

    @property
    def id(self) -> str:
        """The package id."""
        return self.text("id")

    @property
    def version(self) -> str:
        """The package version, as written."""
        return self.text("version")

    def text(self, name: str) -> str:
        """Give the text of a metadata element, "" when it is missing."""
        return next((item.text for item in self.metadata if item.name == name), "")


def parse(data: bytes, where: str) -> Nuspec:
    """Read a nuspec of any namespace; tokens stay as they are.

    Raises PipelineError for what is not XML, holds a document type (the way to external
    entities and to entity bombs), or has no id or version.
    """
    root = _tree(data, where)
    parts = {child.name: child for child in root.children}
    if root.name != "package" or "metadata" not in parts:
        raise PipelineError(where, "there is no <package><metadata> in it")
    metadata = parts["metadata"].children
    names: set[str] = set()
    for item in metadata:
        if item.name in names:
            raise PipelineError(where, f"<{item.name}> is there twice", "Remove one of them.")
        names.add(item.name)
    files = parts["files"].children if "files" in parts else ()
    nuspec = Nuspec(metadata, tuple(_file(item, where) for item in files), where)
    _require(nuspec, ("id", "version"))
    return nuspec


def parse_packed(data: bytes, where: str) -> Nuspec:
    """Read the nuspec in a package that anybody may have made.

    Raises PipelineError where `parse` does, and for an id or version that no NuGet client takes:
    both become names of files and parts of addresses.
    """
    nuspec = parse(data, where)
    problem = package_id_problem(nuspec.id) or package_version_problem(nuspec.version)
    if problem:
        raise PipelineError(where, problem, DISTRUST)
    return nuspec


def fill_tokens(nuspec: Nuspec, tokens: Mapping[str, str]) -> Nuspec:
    """Replace `$name$` everywhere, ignoring case, and check the result; `$$` is a dollar.

    `$id$` is the nuspec's own id unless `tokens` says otherwise. Raises PipelineError for an
    unknown token, missing required metadata, or an id or version that some reader refuses.
    """
    values = {"id": nuspec.id, **{name.lower(): value for name, value in tokens.items()}}

    def filled(text: str) -> str:
        return _TOKEN.sub(lambda found: _value(found.group(1), values, nuspec.where), text)

    result = replace(
        nuspec,
        metadata=tuple(_mapped(item, filled) for item in nuspec.metadata),
        files=tuple(
            FileEntry(filled(item.src), filled(item.target), filled(item.exclude))
            for item in nuspec.files
        ),
    )
    _require(result, _REQUIRED)
    check_id(result.id, nuspec.where)
    check_version(result.version, nuspec.where)
    return result


def check_id(value: str, where: str) -> None:
    """Raise PipelineError unless every NuGet reader takes the package id."""
    problem = package_id_problem(value)
    if problem:
        raise PipelineError(
            where,
            problem,
            "Use words of letters, digits and underscores with single dots or hyphens between "
            f"them, {LONGEST_ID} characters at most.",
        )


def check_version(value: str, where: str) -> None:
    """Raise PipelineError unless every NuGet reader and Octopus take the package version."""
    found = _VERSION.fullmatch(value)
    small = found and all(int(part) <= _LARGEST_NUMBER for part in found[1].split("."))
    if not found or not small or len(found[2] or "") > _LONGEST_TAG:
        raise PipelineError(
            where,
            f"the package version {value!r} is not one that every NuGet client reads",
            "Use three or four numbers, and after a hyphen a tag of letters, digits and hyphens "
            f"that starts with a letter, {_LONGEST_TAG} characters at most.",
        )


def render_for_package(nuspec: Nuspec, source: Source | None = None) -> bytes:
    """Write the nuspec that goes into the package: its metadata and `<repository>`, no files."""
    metadata = nuspec.metadata
    if source and (source.commit or source.branch):
        known = {"type": "git", "commit": source.commit, "branch": source.branch}
        attributes = tuple((name, value) for name, value in known.items() if value)
        metadata = (
            *(item for item in metadata if item.name != "repository"),
            Element("repository", attributes=attributes),
        )
    lines = ['<?xml version="1.0" encoding="utf-8"?>', f'<package xmlns="{_NAMESPACE}">']
    lines += _lines(Element("metadata", children=metadata), "  ", nuspec.where)
    return "\n".join([*lines, "</package>", ""]).encode()


def _tree(data: bytes, where: str) -> Element:
    if len(data) > _LARGEST:
        raise PipelineError(where, f"{len(data)} bytes are too many for a nuspec")
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise PipelineError(where, "it is not UTF-8", "Save it as UTF-8.") from error
    if "<!DOCTYPE" in text:
        raise PipelineError(where, "it has a document type", "Remove the <!DOCTYPE ...> part.")
    try:
        root = ET.fromstring(text)  # noqa: S314 - without a document type there are no entities
    except (ET.ParseError, ValueError) as error:
        raise PipelineError(where, f"it is not well-formed XML: {error}") from error
    return _element(root, _DEEPEST, where)


def _element(node: ET.Element, depth: int, where: str) -> Element:
    if depth == 0:
        raise PipelineError(where, f"its elements are nested more than {_DEEPEST} deep")
    return Element(
        node.tag.rpartition("}")[2],
        "" if len(node) else (node.text or "").strip(),
        tuple(sorted((name.rpartition("}")[2], value) for name, value in node.attrib.items())),
        tuple(_element(child, depth - 1, where) for child in node),
    )


def _file(item: Element, where: str) -> FileEntry:
    attributes = dict(item.attributes)
    if item.name != "file" or not attributes.get("src"):
        what = f"<files> holds a <{item.name}> without `src`"
        raise PipelineError(where, what, 'Write <file src="..." target="..." />.')
    return FileEntry(attributes["src"], attributes.get("target", ""), attributes.get("exclude", ""))


def _value(name: str, values: Mapping[str, str], where: str) -> str:
    if not name:
        return "$"
    if name.lower() not in values:
        raise PipelineError(
            where,
            f"the token ${name}$ has no value",
            f"Known are {', '.join(f'${key}$' for key in sorted(values))}; write $$ for a dollar.",
        )
    return values[name.lower()]


def _require(nuspec: Nuspec, names: tuple[str, ...]) -> None:
    missing = [f"<{name}>" for name in names if not nuspec.text(name)]
    if missing:
        raise PipelineError(
            nuspec.where, f"{' and '.join(missing)} missing or empty", "Fill in the metadata."
        )


def _mapped(item: Element, change: Callable[[str], str]) -> Element:
    return Element(
        item.name,
        change(item.text),
        tuple((name, change(value)) for name, value in item.attributes),
        tuple(_mapped(child, change) for child in item.children),
    )


def _lines(item: Element, indent: str, where: str) -> list[str]:
    for value in (item.text, *(value for _, value in item.attributes)):
        illegal = _ILLEGAL.search(value)
        if illegal:
            what = f"<{item.name}> holds {illegal.group()!r}, which XML cannot"
            raise PipelineError(where, what, "Remove the character.")
    attributes = "".join(
        f' {name}="{value.translate(AS_ATTRIBUTE)}"' for name, value in item.attributes
    )
    start = f"{indent}<{item.name}{attributes}"
    if item.children:
        inner = [line for child in item.children for line in _lines(child, f"{indent}  ", where)]
        return [f"{start}>", *inner, f"{indent}</{item.name}>"]
    if not item.text:
        return [f"{start} />"]
    return [f"{start}>{item.text.translate(AS_TEXT)}</{item.name}>"]
