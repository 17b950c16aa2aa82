"""How a package differs from an earlier one that is at hand: its files, and its dependencies."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..core.manifest import MANIFEST_NAME, Manifest
from ..core.names import FUNCTION_ZIP, package_version_problem
from ..core.strict_json import LARGEST_DOCUMENT


@dataclass(frozen=True)
class Contents:
    """What changed since a release: names of files by what became of them, and of libraries.

    A library has the version before and the one now, empty where there is none.
    """

    since: str
    files: Mapping[str, tuple[str, ...]]
    libraries: Mapping[str, tuple[str, str]]

    @classmethod
    def between(
        cls, folder: Path, manifest: Manifest, release: str, packages: Mapping[str, str]
    ) -> Contents | None:
        """Compare the package unpacked in `folder` with that of a release, else None.

        It is looked for in `packages`, files by version, and beside the folder, where Octopus has
        unpacked it. Only a help to read: one that is damaged, or gone, is passed over.
        """
        if release == manifest.version or package_version_problem(release):
            return None
        places = [Path(packages[release])] if release in packages else []
        # Octopus numbers the folders of a package that it unpacks again.
        places += [folder.with_name(release), *sorted(folder.parent.glob(f"{release}_*"))]
        for place in places:
            with suppress(Exception):
                return cls._since(place, release, folder, manifest)
        return None

    @classmethod
    def _since(cls, place: Path, release: str, folder: Path, manifest: Manifest) -> Contents:
        with _opened(place, MANIFEST_NAME) as file:
            before = Manifest.from_json(file.read(LARGEST_DOCUMENT), where=str(place))
        if (before.package_id, before.version) != (manifest.package_id, release):
            raise LookupError(release)
        with _opened(place, FUNCTION_ZIP) as was, _opened(folder, FUNCTION_ZIP) as now:
            files = _files(_names(was), _names(now), manifest.function.handler_file)
        return cls(release, files, _libraries(before, manifest))


def _opened(place: Path, name: str) -> IO[bytes]:
    # A member of a package keeps the package open for as long as it is read.
    return (place / name).open("rb") if place.is_dir() else zipfile.ZipFile(place).open(name)


def _names(code: IO[bytes]) -> dict[str, int]:
    with zipfile.ZipFile(code) as archive:
        return {one.filename: one.CRC for one in archive.infolist() if not one.is_dir()}


def _files(
    was: Mapping[str, int], now: Mapping[str, int], handler: str
) -> dict[str, tuple[str, ...]]:
    own = handler.partition("/")[0]
    changed = [name for name in now if name in was and was[name] != now[name]]
    groups = {"changed": changed, "added": now.keys() - was.keys(), "gone": was.keys() - now.keys()}
    # The team's own files come first: dependencies have many.
    return {
        how: tuple(sorted(names, key=lambda name: (name.partition("/")[0] != own, name)))
        for how, names in groups.items()
    }


def _libraries(was: Manifest, now: Manifest) -> dict[str, tuple[str, str]]:
    before, after = ({one.name: one.version for one in each.dependencies} for each in (was, now))
    return {
        name: (before.get(name, ""), after.get(name, ""))
        for name in sorted({**before, **after})
        if before.get(name) != after.get(name)
    }
