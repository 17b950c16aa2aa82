"""The .nuspec file: read safely, its tokens filled in, and written again for the package.

What is read may come from anybody, with elements of any release of the format; what is written
holds plain elements with texts. Ids and tokens are NuGet's of any age.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat

from ..core.errors import PipelineError
from ..core.manifest import Source
from ..core.names import package_id_problem, package_version_problem
from ..edge.files import decoded
from ..zip.globs import FileEntry
from ..zip.reader import DISTRUST

_NAMESPACE = "http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd"
_LARGEST = 1 << 20
_DEEPEST = 12
_SHORTEN = "Leave in it what NuGet knows."
_TOKEN = re.compile(r"\$(\w*)\$")
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# For `str.translate`; the standard library's own escaping brings all of urllib along. A bare
# carriage return would come back as a line feed.
AS_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
AS_ATTRIBUTE = {**AS_TEXT, **str.maketrans({'"': "&quot;", "\n": "&#10;", "\t": "&#9;"})}


@dataclass(frozen=True)
class Element:
    """An XML element without its namespace: it holds text, or others."""

    name: str
    text: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    children: tuple[Element, ...] = ()
    # File and line, for errors; two elements are the same on any line.
    where: str = field(default="", compare=False, repr=False)

    def error(self, what: str, then: str) -> PipelineError:
        """Return the error for this element."""
        return PipelineError(self.where, what, then)

    def attribute(self, name: str) -> str:
        """Return an attribute without blanks around it, "" when it is missing."""
        return dict(self.attributes).get(name, "").strip()

    def below(self, name: str) -> Iterator[Element]:
        """Yield the elements of that name at any depth below."""
        for child in self.children:
            if child.name == name:
                yield child
            yield from child.below(name)


@dataclass(frozen=True)
class Nuspec:
    """A parsed nuspec; `where` names it in errors."""

    metadata: Element
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
        return next((item.text for item in self.metadata.children if item.name == name), "")


def parse(data: bytes, where: str, tokens: Mapping[str, str] | None = None) -> Nuspec:
    """Read a nuspec of any namespace, with `tokens` in the place of `$name$` in any case.

    `$$` is a dollar; without `tokens` all stays as it is. Raises PipelineError for what is not
    XML, holds a document type (the way to external entities and to entity bombs) or a token that
    is not known, and has no id or version.
    """
    root = _tree(data, where, tokens)
    parts = {child.name: child for child in root.children}
    if root.name != "package" or "metadata" not in parts:
        what = "there is no <package><metadata> in it"
        raise PipelineError(where, what, "Begin with the nuspec that the template renders.")
    for item in root.children:
        if item.name not in ("metadata", "files"):
            raise item.error(f"<package> holds <{item.name}>", "It holds <metadata> and <files>.")
    metadata = parts["metadata"]
    _refuse_twins(root.children)
    _refuse_twins(metadata.children)
    files = parts["files"].children if "files" in parts else ()
    nuspec = Nuspec(metadata, tuple(map(_file, files)), where)
    require(nuspec, ("id", "version"))
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


def require(nuspec: Nuspec, names: Iterable[str]) -> None:
    """Raise PipelineError where the metadata has no text for one of these names."""
    missing = [f"<{name}>" for name in names if not nuspec.text(name)]
    if missing:
        what = f"{' and '.join(missing)} missing or empty"
        raise PipelineError(nuspec.where, what, "Fill in the metadata.")


def render_for_package(nuspec: Nuspec, source: Source | None = None) -> bytes:
    """Write the nuspec that goes into the package: its texts and `<repository>`, no files.

    A `<repository>` of its own keeps type and url; commit and branch are the source's.
    """
    items = nuspec.metadata.children
    own = next((dict(item.attributes) for item in items if item.name == "repository"), {})
    if source and (own or source.commit or source.branch):
        known = {
            "type": own.get("type", "git"),
            "url": own.get("url"),
            "commit": source.commit,
            "branch": source.branch,
        }
        attributes = tuple((name, value) for name, value in known.items() if value)
        items = (
            *(item for item in items if item.name != "repository"),
            Element("repository", attributes=attributes),
        )
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<package xmlns="{_NAMESPACE}">',
        "  <metadata>",
        *(f"    {_rendered(item, nuspec.where)}" for item in items),
        "  </metadata>",
        "</package>",
        "",
    ]
    return "\n".join(lines).encode()


def _tree(data: bytes, where: str, tokens: Mapping[str, str] | None) -> Element:
    if len(data) > _LARGEST:
        raise PipelineError(where, f"{len(data)} bytes are too many for a nuspec", _SHORTEN)
    text = decoded(data, where)
    # The declared encoding is that of the file, and no longer matters.
    parser = expat.ParserCreate("utf-8", "}")
    opened = [_Opened("", (), "")]

    def place() -> str:
        return f"{where}:{parser.CurrentLineNumber}"

    def filled(text: str) -> str:
        if tokens is None:
            return text
        return _TOKEN.sub(lambda found: _value(found[1], tokens, place()), text)

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(opened) > _DEEPEST:
            what = f"its elements are nested more than {_DEEPEST} deep"
            raise PipelineError(place(), what, _SHORTEN)
        named = ((key.rpartition("}")[2], filled(value)) for key, value in attributes.items())
        opened.append(_Opened(name.rpartition("}")[2], tuple(sorted(named)), place()))

    def end(_name: str) -> None:
        done = opened.pop()
        opened[-1].children.append(done.element(filled))

    def text_of(piece: str) -> None:
        opened[-1].pieces.append(piece)

    def refuse(*_: object) -> NoReturn:
        raise PipelineError(place(), "it has a document type", "Remove the <!DOCTYPE ...> part.")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text_of
    # Without a document type there are no entities, and so none from elsewhere.
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text.encode(), True)  # noqa: FBT003 - it takes no names
    except expat.ExpatError as error:
        what = f"it is not well-formed XML: {expat.ErrorString(error.code)}"
        raise PipelineError(f"{where}:{error.lineno}", what, "Correct that line.") from error
    return opened[0].children[0]


@dataclass
class _Opened:
    """An element whose end has not been read yet."""

    name: str
    attributes: tuple[tuple[str, str], ...]
    where: str
    pieces: list[str] = field(default_factory=list)
    children: list[Element] = field(default_factory=list)

    def element(self, filled: Callable[[str], str]) -> Element:
        text = filled("".join(self.pieces).strip()).strip()
        if text and self.children:
            what = f"<{self.name}> holds text beside elements: {text!r}"
            raise PipelineError(self.where, what, "Remove it; in a text, write < as &lt;.")
        return Element(self.name, text, self.attributes, tuple(self.children), self.where)


def _value(name: str, tokens: Mapping[str, str], where: str) -> str:
    if not name:
        return "$"
    if name.lower() not in tokens:
        raise PipelineError(
            where,
            f"the token ${name}$ has no value",
            f"Known are {', '.join(f'${key}$' for key in sorted(tokens))}; write $$ for a dollar.",
        )
    return tokens[name.lower()]


def _refuse_twins(items: tuple[Element, ...]) -> None:
    seen = set()
    for item in items:
        if item.name in seen:
            raise item.error(f"<{item.name}> is there twice", "Remove one of them.")
        seen.add(item.name)


def _file(item: Element) -> FileEntry:
    attributes = dict(item.attributes)
    unknown = sorted(attributes.keys() - {"src", "target", "exclude"})
    if item.name != "file" or item.children or unknown or not attributes.get("src"):
        what = (
            f"<file> has no attribute {unknown[0]!r}"
            if unknown
            else f"<files> holds a <{item.name}> without `src`"
        )
        then = 'Write <file src="..." target="..." exclude="..." />, the last two if you need them.'
        raise item.error(what, then)
    return FileEntry(**attributes, place=item.where)


def _rendered(item: Element, where: str) -> str:
    for value in (item.text, *(value for _, value in item.attributes)):
        illegal = _ILLEGAL.search(value)
        if illegal:
            what = f"<{item.name}> holds {illegal.group()!r}, which XML cannot"
            raise PipelineError(where, what, "Remove the character.")
    attributes = "".join(
        f' {name}="{value.translate(AS_ATTRIBUTE)}"' for name, value in item.attributes
    )
    start = f"<{item.name}{attributes}"
    return f"{start}>{item.text.translate(AS_TEXT)}</{item.name}>" if item.text else f"{start} />"
