"""`inspect`: what is in a package, ours or not, on one screen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import NotTheSame
from ..core.manifest import MANIFEST_NAME, Manifest
from ..core.names import FUNCTION_ZIP
from ..core.text import size
from ..package.contents import Package
from ..package.nupkg import SIGNATURE
from ..package.nuspec import Element
from ..package.sbom import SBOM_NAME
from ..package.statement import STATEMENT_NAME, misfits
from .layout import readable, row, rows

_PLACES = 6  # folders and files named before the rest are counted


@dataclass(frozen=True)
class Inspection:
    """A package's facts, and where its statement does not fit its bytes; None without one."""

    contents: Package
    misfits: tuple[str, ...] | None = None

    def lines(self) -> list[str]:
        """Return the picture for people."""
        contents = self.contents
        nuspec, manifest = contents.listing.nuspec, contents.manifest
        head = f"{readable(nuspec.id)} {readable(nuspec.version)}"
        first = f"{head}   {size(contents.size)}, {_count(len(contents.listing.files))}"
        sizes = ((name, entry.size) for name, entry in contents.listing.files.items())
        return [
            first,
            *rows("says", readable(nuspec.text("description")).split(), most=2),
            row("by", nuspec.text("authors")),
            *(_function_lines(contents, manifest) if manifest else _foreign_lines(contents)),
            *rows("inside", _places(sizes), gap=3, most=4),
            *_row_if("CodeSha256", manifest.function_zip.code_sha256 if manifest else ""),
            row("sha256", contents.sha256),
            row("holds", _holds(contents)),
            *_row_if("provenance", self._provenance()),
        ]

    def document(self) -> dict[str, Any]:
        """Return the picture for programs."""
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
            "provenance": {"fits": self.misfits == (), "misfits": self.misfits},
            "files": [
                {"name": name, "size": entry.size, "packed": entry.packed}
                for name, entry in contents.listing.files.items()
            ],
        }

    def _provenance(self) -> str:
        if self.contents.manifest is None:
            return ""
        if self.misfits is None:
            return "there is no statement in it"
        if not self.misfits:
            return f"its statement fits all {_count(len(self.contents.listing.files))}"
        more = f", and {len(self.misfits) - 1} more" if self.misfits[1:] else ""
        return f"its statement does not fit: {readable(self.misfits[0])}{more}"


def inspect_package(path: Path) -> Inspection:
    """Read a package without writing anything; a hostile one is refused."""
    package = Package.open(path)
    found = misfits(package) if package.manifest else None
    return Inspection(package, None if found is None else tuple(found))


def refusal(found: Inspection) -> NotTheSame | None:
    """Return the error that names every misfit of a package, or None when there is none."""
    if not found.misfits:
        return None
    listed = "".join(f"\n  {readable(text)}" for text in found.misfits)
    return NotTheSame(
        f"inspect {found.contents.path.name}",
        f"its provenance statement does not fit its files:{listed}",
        "Do not deploy it. Take the package from the feed again, or build it again.",
    )


def _row_if(name: str, text: str) -> list[str]:
    """Return a row, or none without text."""
    return [row(name, text)] if text else []


def _function_lines(contents: Package, manifest: Manifest) -> list[str]:
    function, source = manifest.function, manifest.source
    commit = (source.commit or "no commit")[:12]
    state = {None: "not known whether clean", True: "dirty", False: "clean"}[source.dirty]
    needs = [f"{item.name} {item.version}" for item in manifest.dependencies]
    runs = [function.name, f"{function.runtime} {function.architecture}", function.handler]
    lines = [
        row("from", f"{source.branch or 'no branch'}@{commit}, {state}"),
        *rows("function", map(readable, runs), gap=3),
    ]
    if contents.function is not None:
        entries = contents.function.entries
        unzipped = size(sum(entry.size for entry in entries))
        packed = size(contents.listing.files[FUNCTION_ZIP].size)
        lines.append(row("code", f"{packed}, {unzipped} unzipped, {_count(len(entries))}"))
        sizes = ((entry.name, entry.size) for entry in entries)
        lines += rows("", _places(sizes), gap=3, most=2)
    return lines + rows("needs", _listed(needs) or ["nothing but Python"], most=4)


def _foreign_lines(contents: Package) -> list[str]:
    nuspec = contents.listing.nuspec
    made = "something else: " + (readable(contents.note) or "no manifest inside")
    needs = [f"{item['name']} {item['version']}".strip() for item in _dependencies(contents)]
    urls = [nuspec.text("projectUrl"), nuspec.text("repository")]
    return [
        *rows("made by", made.split(), most=2),
        *_row_if("licence", nuspec.text("license") or nuspec.text("licenseUrl")),
        *_row_if("home", next(filter(None, urls), "")),
        *rows("needs", _listed(needs) or ["no other package"], most=4),
    ]


def _dependencies(contents: Package) -> list[dict[str, str]]:
    if contents.manifest is not None:
        found = [(item.name, item.version) for item in contents.manifest.dependencies]
    else:
        elements = _named(contents.listing.nuspec.metadata, "dependency")
        found = [
            (str(known.get("id", "")), str(known.get("version", "")))
            for known in (dict(element.attributes) for element in elements)
        ]
    # A package for several frameworks names a dependency once for each.
    return [{"name": name, "version": version} for name, version in dict.fromkeys(found)]


def _named(elements: Iterable[Element], name: str) -> Iterator[Element]:
    for element in elements:
        if element.name == name:
            yield element
        yield from _named(element.children, name)


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
        f"{readable(name)} {size(sum(found))}"
        + (f" ({_count(len(found))})" if name.endswith("/") else "")
        for name, found in ordered[:_PLACES]
    ]
    rest = [count for _, found in ordered[_PLACES:] for count in found]
    return [*listed, f"and {_count(len(rest))} more, {size(sum(rest))}"] if rest else listed


def _listed(names: Iterable[str]) -> list[str]:
    *first, last = [*map(readable, names)] or [""]
    return [*(f"{name}," for name in first), last] if last else []


def _count(files: int) -> str:
    return f"{files} file" + ("" if files == 1 else "s")
