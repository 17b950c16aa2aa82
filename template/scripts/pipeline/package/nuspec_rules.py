"""Checks of a nuspec for what NuGet would refuse.

The rules are those of NuGet.Client's packer, and of what NuGet 2.8.7 cannot read in a package.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from ..core.errors import PipelineError
from .nuspec import Element, Nuspec, check_id

_TEXTS = ("id", "version", "title", "authors", "owners", "description", "summary", "releaseNotes",
          "copyright", "language", "tags")  # fmt: skip
_ADDRESSES = ("licenseUrl", "projectUrl", "iconUrl")
_FLAGS = ("requireLicenseAcceptance", "developmentDependency", "serviceable")
_NEVER_EMPTY = (*_ADDRESSES, *_FLAGS, "license", "icon", "readme")
# By element: its attributes, those that must be there with a `!`, and what may be inside it.
# A group is another one in each place.
_SHAPES = {
    "metadata": (
        ("minClientVersion",),
        (*_TEXTS, *_NEVER_EMPTY, "repository", "packageTypes", "dependencies",
         "frameworkAssemblies", "frameworkReferences", "references", "contentFiles"),
    ),
    "license": (("type!", "version"), ()),
    "repository": (("type", "url", "branch", "commit"), ()),
    "packageTypes": ((), ("packageType",)),
    "packageType": (("name!", "version"), ()),
    "dependencies": ((), ("dependency", "group")),
    "dependency": (("id!", "version", "include", "exclude"), ()),
    "dependencies/group": (("targetFramework",), ("dependency",)),
    "frameworkAssemblies": ((), ("frameworkAssembly",)),
    "frameworkAssembly": (("assemblyName!", "targetFramework"), ()),
    "frameworkReferences": ((), ("group",)),
    "frameworkReferences/group": (("targetFramework!",), ("frameworkReference",)),
    "frameworkReference": (("name!",), ()),
    "references": ((), ("reference", "group")),
    "references/group": (("targetFramework",), ("reference",)),
    "reference": (("file!",), ()),
    "contentFiles": ((), ("files",)),
    "files": (("include!", "exclude", "buildAction", "copyToOutput", "flatten"), ()),
}  # fmt: skip
_TRUTHS = ("true", "false", "1", "0")
_SCHEMA = re.compile(
    r"(?:http://schemas\.microsoft\.com/packaging/"
    r"(?:2010/07|2011/08|2011/10|2012/06|2013/01|2013/05)/nuspec\.xsd)?"
)
# With a host, or of a kind that has none, like a file's.
_ADDRESS = re.compile(
    r"(?i)[a-z][a-z0-9+.-]*://[^\s/?#]+(?:[/?#].*)?"
    r"|(?!https?:|ftp:)[a-z][a-z0-9+.-]*:(?!//[^/])/*[^\s/].*"
)
# What modern packers write beside <license> for old readers.
_MADE_ADDRESSES = ("https://licenses.nuget.org/", "https://aka.ms/deprecateLicenseUrl")
_PLAIN_VERSION = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){1,3}")
_LICENCE_FORMAT = (1, 0, 0)
_VERSION = r"[0-9]{1,9}(?:\.[0-9]{1,9}){1,3}(?:-[A-Za-z][0-9A-Za-z-]*)?"
_RANGE = re.compile(rf"([\[(])\s*({_VERSION})?\s*(,?)\s*({_VERSION})?\s*([\])])")
_LICENCE_ID = re.compile(r"[A-Za-z0-9.-]+\+?")
_ENDINGS = {
    "icon": (".png", ".jpg", ".jpeg"),
    "readme": (".md", ""),
    "license": (".txt", ".md", ""),
}
_LARGEST_ICON = 1 << 20


def check_metadata(nuspec: Nuspec) -> None:
    """Refuse metadata that NuGet's packer refuses, or that an old client cannot read.

    Tokens are filled in already. Errors name the line, the element, and what to write.
    """
    if not _SCHEMA.fullmatch(nuspec.schema):
        what = f"no NuGet client knows the schema {nuspec.schema!r}"
        raise PipelineError(nuspec.where, what, "Write <package> without an xmlns.")
    _check_shape(nuspec.whole)
    _check_version(nuspec.whole, "minClientVersion")
    for item in nuspec.metadata:
        _check_value(item)
        if item.name == "dependencies":
            _check_dependencies(item)
            _check_stability(item, nuspec)
        elif item.name == "references":
            _check_groups(item)
    if not nuspec.text("authors").replace(",", "").strip():
        then = "Write a name, or several with commas."
        raise PipelineError(nuspec.where, "<authors> names nobody", then)
    _check_licence(nuspec)


def check_files(nuspec: Nuspec, sizes: Mapping[str, int]) -> None:
    """Refuse icons, readmes, licences and references that are not among a package's files.

    `sizes` are the files' sizes in bytes by their path in the package.
    """
    for item in nuspec.metadata:
        if item.name in _ENDINGS and item.attribute("type") != "expression":
            _check_file(item, sizes)
        elif item.name == "references":
            libraries = {path.rpartition("/")[2].lower() for path in sizes if path[:4] == "lib/"}
            for reference in item.below("reference"):
                file = reference.attribute("file")
                if file.lower() not in libraries:
                    what = f"<reference> names {file!r}, which no <file> puts into `lib`"
                    then = "Add the file with a target in lib, or remove the reference."
                    raise reference.error(what, then)


def _check_shape(item: Element, parent: str = "") -> None:
    place = f"{parent}/{item.name}" if item.name == "group" else item.name
    attributes, inside = _SHAPES.get(place, ((), ()))
    given, known = dict(item.attributes), [name.rstrip("!") for name in attributes]
    for name in given:
        if name not in known:
            then = _suggestion(name, known) if known else "Remove it."
            raise item.error(f"<{item.name}> has no attribute {name!r}", then)
    for name in attributes:
        if name.endswith("!") and not given.get(name[:-1], "").strip():
            what = f"<{item.name}> has no {name[:-1]!r}"
            raise item.error(what, f'Write <{item.name} {name[:-1]}="..." />.')
    for child in item.children:
        if child.name not in inside:
            what = f"<{item.name}> holds no <{child.name}>"
            then = _suggestion(child.name, inside) if inside else "It holds text: write < as &lt;."
            raise child.error(what, then)
        _check_shape(child, item.name)


def _check_value(item: Element) -> None:
    if item.name in _NEVER_EMPTY and not item.text:
        raise item.error(f"<{item.name}> is empty", "Fill it in, or remove it.")
    if item.name in _FLAGS:
        _check_truth(item, f"<{item.name}>", item.text)
    if item.name in _ADDRESSES and not _is_address(item.text):
        what = f"<{item.name}> is not a complete address: {item.text!r}"
        raise item.error(what, "Write it with its beginning, like https://.")
    for inner in item.below("files"):
        for name in ("copyToOutput", "flatten"):
            _check_truth(inner, f"{name} of <files>", inner.attribute(name) or "false")
    for inner in item.below("packageType"):
        _check_version(inner, "version")


def _is_address(text: str) -> bool:
    try:
        return urlsplit(text).port != 0 and _ADDRESS.fullmatch(text) is not None
    except ValueError:  # from a port that is none, or half a pair of brackets
        return False


def _check_version(item: Element, name: str) -> None:
    version = dict(item.attributes).get(name)
    if version is not None and not _PLAIN_VERSION.fullmatch(version):
        what = f"{name} of <{item.name}> is {version!r}"
        raise item.error(what, "Write two to four numbers, like 2.8.")


def _check_truth(item: Element, name: str, value: str) -> None:
    if value not in _TRUTHS:
        what = f"{name} is neither true nor false: {value!r}"
        raise item.error(what, "Write true or false, in small letters.")


def _check_licence(nuspec: Nuspec) -> None:
    found = {item.name: item for item in nuspec.metadata}
    licence, address = found.get("license"), found.get("licenseUrl")
    accepted = found.get("requireLicenseAcceptance")
    if accepted and accepted.text in ("true", "1") and not licence and not address:
        what = "<requireLicenseAcceptance> is true, and there is no licence to accept"
        raise accepted.error(what, 'Add <license type="expression">...</license>.')
    if not licence:
        return
    if address and not address.text.startswith(_MADE_ADDRESSES):
        raise address.error("<license> and <licenseUrl> are both there", "Remove <licenseUrl>.")
    kind, version = licence.attribute("type").lower(), licence.attribute("version")
    if kind not in ("expression", "file"):
        what = f"type of <license> is {licence.attribute('type')!r}"
        raise licence.error(what, 'Write type="expression" or type="file".')
    if version:
        plain = _PLAIN_VERSION.fullmatch(version)
        if not plain or tuple(map(int, version.split("."))) > _LICENCE_FORMAT:
            what = f"version of <license> is {version!r}"
            raise licence.error(what, "Leave it out: there is only 1.0.0.")
    problem = _expression_problem(licence.text) if kind == "expression" else ""
    if problem:
        then = "Write SPDX names with AND, OR and WITH, like MIT OR Apache-2.0."
        raise licence.error(f"<license> is not a licence expression: {problem}", then)


def _expression_problem(text: str) -> str:
    """Say what is wrong with a licence expression, "" for a good one."""
    # Takes a while to import, and few packages have one.
    from license_expression import get_spdx_licensing  # noqa: PLC0415

    spdx = get_spdx_licensing()
    try:
        parsed = spdx.parse(text, strict=True)
        names = spdx.license_keys(parsed)
    except Exception as error:  # noqa: BLE001 - of many kinds, an IndexError for () among them
        # The one that has no words is about two brackets with nothing in them.
        return f"{text!r}: {'it names no licence' if isinstance(error, IndexError) else error}"
    # A licence that is newer than its list is taken; what it would write in another way is not.
    for name in names:
        if not _LICENCE_ID.fullmatch(name):
            return f"{name!r} is not a name"
    spelt = [re.findall(r"[^\s()]+", spelling) for spelling in (text, str(parsed))]
    return "" if spelt[0] == spelt[1] else f"{text!r} is spelt {str(parsed)!r}"


def _check_groups(item: Element) -> None:
    names = {child.name for child in item.children}
    if len(names) > 1:
        what = f"<{item.name}> holds {' and '.join(f'<{name}>' for name in sorted(names))}"
        raise item.error(what, "Put all of them into groups, or none.")
    if item.name == "references":
        for group in item.children:
            if group.name == "group" and not group.children:
                raise group.error("<group> of <references> is empty", "Remove it.")


def _check_dependencies(item: Element) -> None:
    _check_groups(item)
    seen = set()
    for group in (item, *(child for child in item.children if child.name == "group")):
        for dependency in group.children:
            if dependency.name != "dependency":
                continue
            name = dependency.attribute("id")
            check_id(name, dependency.where)
            key = (group.attribute("targetFramework").lower(), name.lower())
            if key in seen:
                what = f"<dependency> {name!r} is there twice"
                raise dependency.error(what, "Remove one of them.")
            seen.add(key)
            version = dependency.attribute("version")
            if version and not _is_range(version):
                what = f"version of <dependency> {name!r} is {version!r}"
                then = "Write 1.0 for 1.0 and above, [1.0] for that alone, or a range, [1.0,2.0)."
                raise dependency.error(what, then)


def _check_stability(item: Element, nuspec: Nuspec) -> None:
    for dependency in item.below("dependency"):
        version = dependency.attribute("version")
        if "-" in version and "-" not in nuspec.version:
            name = dependency.attribute("id")
            what = f"<dependency> {name!r} is a prerelease, {version}, and this package is not"
            raise dependency.error(what, "Depend on a release, or build a prerelease.")


def _is_range(text: str) -> bool:
    """Tell whether old and new clients read a dependency's version."""
    if re.fullmatch(_VERSION, text):
        return True
    found = _RANGE.fullmatch(text)
    if not found:
        return False
    first, low, comma, high, last = found.groups()
    closed = first + last == "[]"
    if not comma:
        return closed and bool(low) and not high
    if not low or not high:
        return bool(low or high)
    return _order(low) < _order(high) or (closed and _order(low) == _order(high))


def _order(version: str) -> tuple[list[int], bool, str]:
    numbers, _, tag = version.partition("-")
    return [*map(int, numbers.split(".")), 0, 0][:4], not tag, tag.lower()


def _check_file(item: Element, sizes: Mapping[str, int]) -> None:
    path = item.text.replace("\\", "/").lstrip("/")
    endings = _ENDINGS[item.name]
    if PurePosixPath(path).suffix.lower() not in endings:
        kinds = ", ".join(ending or "no ending" for ending in endings)
        what = f"<{item.name}> is {item.text!r}, which NuGet does not take there"
        raise item.error(what, f"It takes {kinds}.")
    if path not in sizes:
        near = next((name for name in sizes if name.lower() == path.lower()), "")
        what = f"<{item.name}> is {item.text!r}, which no <file> puts into the package"
        folder = path.rpartition("/")[0]
        then = f"Write {near}." if near else f'Add <file src="..." target="{folder}" /> for it.'
        raise item.error(what, then)
    if item.name != "license" and not sizes[path]:
        raise item.error(f"<{item.name}> is {path!r}, which is empty", "Fill the file.")
    if item.name == "icon" and sizes[path] > _LARGEST_ICON:
        what = f"<icon> is {path!r}, which has {sizes[path]} bytes"
        raise item.error(what, "NuGet takes 1 MB: make it smaller.")


def _suggestion(name: str, known: Collection[str]) -> str:
    folded = {word.lower(): word for word in known}
    near = difflib.get_close_matches(name.lower(), folded, 1)
    return f"Did you mean {folded[near[0]]}?" if near else f"Known are {', '.join(known)}."
