"""What a repository's nuspec may say of its package, so that every NuGet client can read it.

The rules are those of NuGet.Client's packer. What other packages would need of this one, its
dependencies and libraries, is left out: a package made here is deployed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from ..core.errors import PipelineError
from ..core.names import LONGEST_ID, package_id_problem
from .nuspec import Element, Nuspec, require

_REQUIRED = ("id", "version", "authors", "description")
_ADDRESSES = ("licenseUrl", "projectUrl", "iconUrl")
_ENDINGS = {
    "icon": (".png", ".jpg", ".jpeg"),
    "readme": (".md", ""),
    "license": (".txt", ".md", ""),
}
_ACCEPTANCE = "requireLicenseAcceptance"
_NEVER_EMPTY = (*_ADDRESSES, *_ENDINGS, _ACCEPTANCE)
_KNOWN = (
    *(*_REQUIRED, "title", "owners", "summary", "releaseNotes", "copyright", "language", "tags"),
    *(*_NEVER_EMPTY, "repository"),
)
_OF_LIBRARIES = (
    *("dependencies", "references", "frameworkAssemblies", "frameworkReferences", "contentFiles"),
    *("packageTypes", "developmentDependency", "serviceable"),
)
_ATTRIBUTES = {"license": ("type", "version"), "repository": ("type", "url", "branch", "commit")}
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}
# With a host, or of a kind that has none, like a file's.
_ADDRESS = re.compile(
    r"(?i)[a-z][a-z0-9+.-]*://[^\s/?#]+(?:[/?#].*)?"
    r"|(?!https?:|ftp:)[a-z][a-z0-9+.-]*:(?!//[^/])/*[^\s/].*"
)
# What modern packers write beside <license> for old readers.
_MADE_ADDRESSES = ("https://licenses.nuget.org/", "https://aka.ms/deprecateLicenseUrl")
_LICENCE_ID = re.compile(r"[A-Za-z0-9.-]+\+?")
_LARGEST_ICON = 1 << 20


def without_libraries(nuspec: Nuspec) -> tuple[Nuspec, list[str]]:
    """Return a nuspec without what says how others would use the package, and a note on each."""
    items, attributes = nuspec.metadata.children, nuspec.metadata.attributes
    named = [
        *((nuspec.metadata.where, key) for key, _ in attributes if key == "minClientVersion"),
        *((item.where, f"<{item.name}>") for item in items if item.name in _OF_LIBRARIES),
    ]
    metadata = replace(
        nuspec.metadata,
        attributes=tuple(pair for pair in attributes if pair[0] != "minClientVersion"),
        children=tuple(item for item in items if item.name not in _OF_LIBRARIES),
    )
    notes = [
        f"{where} {what} is for libraries and not packaged: remove it" for where, what in named
    ]
    return replace(nuspec, metadata=metadata), notes


def check_metadata(nuspec: Nuspec) -> None:
    """Refuse what NuGet's packer refuses.

    Tokens are filled in already. Errors name the line, the element, and what to write.
    """
    require(nuspec, _REQUIRED)
    _check_attributes(nuspec.metadata)
    for item in nuspec.metadata.children:
        if item.name not in _KNOWN:
            then = f"It holds {', '.join(_KNOWN)}."
            raise item.error(f"<metadata> holds no <{item.name}>", then)
        _check_attributes(item)
        if item.children:
            then = "It holds text: write < as &lt;."
            raise item.error(f"<{item.name}> holds <{item.children[0].name}>", then)
        if item.name in _NEVER_EMPTY and not item.text:
            raise item.error(f"<{item.name}> is empty", "Fill it in, or remove it.")
        if item.name in _ADDRESSES and not _is_address(item.text):
            what = f"<{item.name}> is not a complete address: {item.text!r}"
            raise item.error(what, "Write it with its beginning, like https://.")
    if problem := package_id_problem(nuspec.id):
        then = (
            "Use words of letters, digits and underscores with single dots or hyphens between "
            f"them, {LONGEST_ID} characters at most."
        )
        raise PipelineError(nuspec.where, problem, then)
    if not nuspec.text("authors").replace(",", "").strip():
        then = "Write a name, or several with commas."
        raise PipelineError(nuspec.where, "<authors> names nobody", then)
    _check_licence({item.name: item for item in nuspec.metadata.children})


def check_files(nuspec: Nuspec, sizes: Mapping[str, int]) -> None:
    """Refuse an icon, readme or licence that is not among a package's files.

    `sizes` are the files' sizes in bytes by their path in the package.
    """
    for item in nuspec.metadata.children:
        if item.name in _ENDINGS and item.attribute("type") != "expression":
            _check_file(item, sizes)


def _check_attributes(item: Element) -> None:
    known = _ATTRIBUTES.get(item.name, ())
    for name, _ in item.attributes:
        if name not in known:
            then = f"It may have {', '.join(known)}." if known else "Remove it."
            raise item.error(f"<{item.name}> has no attribute {name!r}", then)


def _is_address(text: str) -> bool:
    try:
        return urlsplit(text).port != 0 and _ADDRESS.fullmatch(text) is not None
    except ValueError:  # from a port that is none, or half a pair of brackets
        return False


def _check_licence(items: Mapping[str, Element]) -> None:
    licence, address = items.get("license"), items.get("licenseUrl")
    accepted = items.get(_ACCEPTANCE)
    if accepted and accepted.text not in _TRUTHS:
        what = f"<{_ACCEPTANCE}> is neither true nor false: {accepted.text!r}"
        raise accepted.error(what, "Write true or false, in small letters.")
    if accepted and _TRUTHS[accepted.text] and not licence and not address:
        what = f"<{_ACCEPTANCE}> is true, and there is no licence to accept"
        raise accepted.error(what, 'Add <license type="expression">...</license>.')
    if not licence:
        return
    if address and not address.text.startswith(_MADE_ADDRESSES):
        raise address.error("<license> and <licenseUrl> are both there", "Remove <licenseUrl>.")
    kind, version = licence.attribute("type").lower(), licence.attribute("version")
    if kind not in ("expression", "file"):
        what = f"type of <license> is {licence.attribute('type')!r}"
        raise licence.error(what, 'Write type="expression" or type="file".')
    if version not in ("", "1.0", "1.0.0"):
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
