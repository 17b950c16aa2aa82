"""`inspect`: what is in a package, ours or not, on one screen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

from ..core.errors import NotTheSame
from ..core.manifest import MANIFEST_NAME, Manifest
from ..core.names import FUNCTION_ZIP, SBOM_NAME
from ..core.text import counted, readable_size
from ..package.contents import Package
from ..package.nupkg import SIGNATURE
from ..package.statement import STATEMENT_NAME, mismatches

_PLACES = 6  # folders and files named before the rest are counted
_WIDTH = 80
_NAME_WIDTH = 12
_NARROWEST = 24  # columns of text
_LONGEST_TEXT = 240
# `one_line` leaves none of these in a text.
_UNBROKEN = "\N{NO-BREAK SPACE}"
# A row of the screen: its name, its text, and how many lines of it a whole screen has.
_Row = tuple[str, str, int]


@dataclass(frozen=True)
class Inspection:
    """A package's facts, and where its statement does not fit its bytes; None without one."""

    contents: Package
    mismatches: tuple[str, ...] | None = None

    def lines(self, width: int = _WIDTH) -> list[str]:
        """Return what people read, as lines that fit a screen of so many columns."""
        contents = self.contents
        nuspec, manifest = contents.listing.nuspec, contents.manifest
        head = f"{one_line(nuspec.id)} {one_line(nuspec.version)}"
        size = f"{readable_size(contents.size)}, {counted(len(contents.listing.files), 'file')}"
        first = f"{head}   {size}"
        sizes = ((name, entry.size) for name, entry in contents.listing.files.items())
        rows = [
            ("says", one_line(nuspec.text("description")), 2),
            ("by", one_line(nuspec.text("authors")), 1),
            *(_function_rows(contents, manifest) if manifest else _foreign_rows(contents)),
            ("inside", _unbroken(_places(sizes)), 4),
            ("CodeSha256", manifest.function_zip.code_sha256 if manifest else "", 1),
            ("sha256", contents.sha256, 1),
            ("holds", _holds(contents), 1),
            ("provenance", one_line(self._provenance()), 1),
        ]
        start = [first] if len(first) <= width else [head, f"    {size}"]
        return [*start, *(line for row in rows for line in _lines(row, width))]

    def document(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        contents = self.contents
        nuspec, manifest = contents.listing.nuspec, contents.manifest
        return {
            "package": str(contents.path),
            "id": nuspec.id,
            "version": nuspec.version,
            "authors": nuspec.text("authors"),
            "description": nuspec.text("description"),
            "size": contents.size,
            "sha256": contents.sha256,
            "manifest": json.loads(manifest.to_json()) if manifest else None,
            "manifest_problem": contents.note,
            "dependencies": _dependencies(contents),
            "provenance": {"fits": self.mismatches == (), "misfits": self.mismatches},
            "files": [
                {"name": name, "size": entry.size, "packed": entry.packed}
                for name, entry in contents.listing.files.items()
            ],
        }

    def _provenance(self) -> str:
        if self.contents.manifest is None:
            return ""
        if self.mismatches is None:
            return "there is no statement in it"
        if not self.mismatches:
            return f"its statement fits all {counted(len(self.contents.listing.files), 'file')}"
        more = f", and {len(self.mismatches) - 1} more" if self.mismatches[1:] else ""
        return f"its statement does not fit: {one_line(self.mismatches[0])}{more}"


def inspect_package(path: Path) -> Inspection:
    """Read a package without writing anything; a hostile one is refused."""
    package = Package.open(path)
    found = mismatches(package) if package.manifest else None
    return Inspection(package, None if found is None else tuple(found))


def refusal(found: Inspection) -> NotTheSame | None:
    """Return the error that names every mismatch in a package, or None when there is none."""
    if not found.mismatches:
        return None
    listed = "".join(f"\n  {one_line(text)}" for text in found.mismatches)
    what = f"its provenance statement does not fit its files:{listed}"
    then = "Do not deploy it. Take the package from the feed again, or build it again."
    return NotTheSame(f"inspect {found.contents.path.name}", what, then)


def _function_rows(contents: Package, manifest: Manifest) -> Iterator[_Row]:
    function, source = manifest.function, manifest.source
    commit = (source.commit or "no commit")[:12]
    state = {None: "not known whether clean", True: "dirty", False: "clean"}[source.dirty]
    needs = [f"{item.name} {item.version}" for item in manifest.dependencies]
    runs = [function.name, f"{function.runtime} {function.architecture}", function.handler]
    yield "from", one_line(f"{source.branch or 'no branch'}@{commit}, {state}"), 1
    yield "function", _unbroken(map(one_line, runs)), 3
    if contents.function is not None:
        entries = contents.function.entries
        unzipped = readable_size(sum(entry.size for entry in entries))
        packed = readable_size(contents.listing.files[FUNCTION_ZIP].size)
        yield "code", f"{packed}, {unzipped} unzipped, {counted(len(entries), 'file')}", 1
        yield "", _unbroken(_places((entry.name, entry.size) for entry in entries)), 2
    yield "needs", _listed(needs) or "nothing but Python", 4


def _foreign_rows(contents: Package) -> Iterator[_Row]:
    nuspec = contents.listing.nuspec
    needs = [f"{item['name']} {item['version']}".strip() for item in _dependencies(contents)]
    urls = [nuspec.text("projectUrl"), nuspec.text("repository")]
    yield "made by", one_line(f"something else: {contents.note or 'no manifest inside'}"), 2
    yield "licence", one_line(nuspec.text("license") or nuspec.text("licenseUrl")), 1
    yield "home", one_line(next(filter(None, urls), "")), 1
    yield "needs", _listed(needs) or "no other package", 4


def _dependencies(contents: Package) -> list[dict[str, str]]:
    if contents.manifest is not None:
        found = [(item.name, item.version) for item in contents.manifest.dependencies]
    else:
        elements = contents.listing.nuspec.metadata.below("dependency")
        found = [(item.attribute("id"), item.attribute("version")) for item in elements]
    # A package for several frameworks names a dependency once for each.
    return [{"name": name, "version": version} for name, version in dict.fromkeys(found)]


def _holds(contents: Package) -> str:
    names = {MANIFEST_NAME: "manifest", SBOM_NAME: "SBOM", STATEMENT_NAME: "provenance"}
    found = [text for name, text in names.items() if name in contents.listing.files]
    if contents.manifest is None:
        found = []
    found += ["NuGet's signature"] if SIGNATURE in contents.listing.files else []
    return ", ".join(found) or "no manifest, SBOM or provenance"


def _places(files: Iterable[tuple[str, int]]) -> list[str]:
    """Return the largest folders and files at the root with their plain sizes."""
    sizes: dict[str, list[int]] = {}
    for name, count in files:
        first, slash, _ = name.partition("/")
        sizes.setdefault(first + slash, []).append(count)
    ordered = sorted(sizes.items(), key=lambda item: (-sum(item[1]), item[0]))
    listed = [
        f"{one_line(name)} {readable_size(sum(found))}"
        + (f" ({counted(len(found), 'file')})" if name.endswith("/") else "")
        for name, found in ordered[:_PLACES]
    ]
    rest = [count for _, found in ordered[_PLACES:] for count in found]
    if rest:
        listed.append(f"and {counted(len(rest), 'file')} more, {readable_size(sum(rest))}")
    return listed


def one_line(text: str) -> str:
    """Return a text from a package on one line, without what could steer a terminal."""
    shown = "".join(char if char.isprintable() else " " for char in text[: 4 * _LONGEST_TEXT])
    shown = " ".join(shown.split())
    return shown if len(shown) <= _LONGEST_TEXT else f"{shown[: _LONGEST_TEXT - 3]}..."


def _unbroken(parts: Iterable[str], gap: str = "   ") -> str:
    """Return parts as a text that is never broken inside one."""
    return gap.join(part.replace(" ", _UNBROKEN) for part in parts)


def _listed(names: Iterable[str]) -> str:
    return _unbroken(map(one_line, names), ", ")


def _lines(row: _Row, width: int) -> list[str]:
    """Return a row's lines, none without text; what is longer is cut.

    A whole screen has as many as the row says; a narrower one has more.
    """
    name, text, most = row
    room = max(width - _NAME_WIDTH - 2, _NARROWEST)
    many = most * -(-(_WIDTH - _NAME_WIDTH - 2) // room)
    # A single part is shown whole, however long it is.
    shown = [text] if " " not in text else wrap(
        text, room, max_lines=many, placeholder=" ...", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
    return [
        f"  {label:<{_NAME_WIDTH}}{line.replace(_UNBROKEN, ' ')}"
        for label, line in zip([name, *[""] * len(shown)], shown, strict=False)
        if text
    ]
