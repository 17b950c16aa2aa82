"""`inspect`: what is in a package, ours or not, on one screen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..archive.nupkg import PackageListing, PackedFile, read
from ..archive.zipreader import read_member
from ..values.manifest import MANIFEST_NAME, Manifest
from .sizes import megabytes

__all__ = ["Inspection", "inspect_package"]

_LISTED = 12  # dependencies named before the rest are counted


@dataclass(frozen=True)
class Inspection:
    """A package's facts: `manifest` is None for a package that this pipeline did not build."""

    path: Path
    listing: PackageListing
    manifest: Manifest | None

    def lines(self) -> list[str]:
        """Return the picture for people."""
        nuspec, files = self.listing.nuspec, self.listing.files
        size = self.path.stat().st_size
        lines = [f"{nuspec.id} {nuspec.version}   {megabytes(size)}, {len(files)} files"]
        lines += [_row("says", nuspec.description), _row("by", nuspec.authors)]
        lines += (
            _function_lines(self.manifest)
            if self.manifest
            else [_row("made by", "something else: no manifest inside")]
        )
        groups = Counter(
            name.split("/")[0] + ("/" if "/" in name else "")
            for name in (file.name for file in files)
        )
        for name, count in sorted(groups.items()):
            unpacked = sum(
                file.entry.size for file in files if file.name.split("/")[0] == name.rstrip("/")
            )
            many = f"{count} file{'' if count == 1 else 's'}, " if name.endswith("/") else ""
            lines.append(_row("", f"{name:<24}{many}{megabytes(unpacked)}"))
        return lines

    def document(self) -> dict[str, Any]:
        """Return the picture for programs."""
        nuspec = self.listing.nuspec
        return {
            "package": str(self.path),
            "id": nuspec.id,
            "version": nuspec.version,
            "authors": nuspec.authors,
            "description": nuspec.description,
            "size": self.path.stat().st_size,
            "manifest": _plain(self.manifest),
            "files": [
                {"name": file.name, "size": file.entry.size, "packed": file.entry.packed}
                for file in self.listing.files
            ],
        }


def inspect_package(path: Path) -> Inspection:
    """Read a package without writing anything; a hostile one is refused."""
    listing = read(path)
    return Inspection(path, listing, _manifest(listing))


def _manifest(listing: PackageListing) -> Manifest | None:
    found: PackedFile | None = next(
        (file for file in listing.files if file.name == MANIFEST_NAME), None
    )
    if found is None:
        return None
    return Manifest.from_json(
        read_member(listing.archive, found.entry), where=f"{listing.archive.where} {MANIFEST_NAME}"
    )


def _function_lines(manifest: Manifest) -> list[str]:
    function, code, source = manifest.function, manifest.function_zip, manifest.source
    commit = (source.commit or "no commit")[:12]
    state = {None: "not known whether clean", True: "dirty", False: "clean"}[source.dirty]
    names = [f"{item.name} {item.version}" for item in manifest.dependencies]
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return [
        _row("from", f"{source.branch or 'no branch'}@{commit}, {state}"),
        _row(
            "function",
            f"{function.name}   {function.runtime} {function.architecture}   {function.handler}",
        ),
        _row(
            "code",
            f"{megabytes(code.size)}, {megabytes(code.unzipped_size)} unzipped, {code.files} files",
        ),
        _row("", f"CodeSha256 {code.code_sha256}"),
        _row("needs", ", ".join(names[:_LISTED]) + more if names else "nothing but Python"),
    ]


def _row(name: str, text: str) -> str:
    return f"  {name:<10}{text}".rstrip()


def _plain(manifest: Manifest | None) -> Any:
    import json  # noqa: PLC0415 - the manifest's own form is its JSON

    return json.loads(manifest.to_json()) if manifest else None
