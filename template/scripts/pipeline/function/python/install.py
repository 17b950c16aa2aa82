"""What uv has installed, held against its sources before anything is made of it.

uv hands out the files in its own cache as they lie there, and whoever edits one, or removes some,
would change every package made from then on. So the distributions in a folder are compared with
those that uv says it took from the lock, and each file with the hash in its wheel's RECORD. What
does not fit was damaged in uv's cache, which forgets it and fetches it once more.

RECORD lies in that cache too: who writes a new hash into it as well is found by `verify --cold`,
which fetches the wheels, and uv holds their bytes against the lock.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from packaging.version import Version

from ...core.errors import PipelineError
from ...edge.uv import Installation, Uv
from ...project.tables import normal

# What uv writes into `bin` with this machine's interpreter in the first line, which it puts behind
# a shell where the path is long. What looks Python up on PATH came as it is.
_LAUNCHER = re.compile(rb"#!(?!/usr/bin/env )[^\n]*python|#!/bin/sh\n'''exec' ")
_NO_HASH = re.compile(r"\.dist-info/RECORD(\.jws|\.p7s)?\Z|(^|/)__pycache__/")
# What uv says of a wheel in its cache that is not even one.
_UNUSABLE = re.compile(r"Failed to install: ([^\s-]+)-")
_CODE = (".py", ".so", ".pyd")
_ALGORITHMS = ("sha256", "sha384", "sha512")
_FROM_UV = {".lock"}


def own_folder(folder: Path) -> tuple[Sequence[str | Path], Path]:
    """Return uv's options for a folder of its own, and that folder, made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return ["--target", folder], folder


def is_launcher(site: Path, name: str) -> bool:
    """Tell whether a file is what an installation writes for this machine, not what a wheel has."""
    return name.startswith("bin/") and bool(_LAUNCHER.match((site / name).read_bytes()))


def install(
    uv: Uv, locks: Sequence[str | Path], make: Callable[[], tuple[Sequence[str | Path], Path]],
    *, where: str, whole: bool = True, copies: bool = True,
) -> Installation:  # fmt: skip
    """Install what the arguments `locks` name, and prove it. Raises PipelineError.

    `make` gives uv's options for a place and the folder that modules go to. It is called again for
    a second try, and removes what was there. With `whole` nothing else than what wheels brought
    may be in the folder. One file has one owner; without, one of code.
    """

    def attempt() -> tuple[Installation, str]:
        """Return what is not as it should be, too: one thing, for all is fetched again then."""
        options, site = make()
        installation = uv.install([*options, *locks], where=where, copies=copies)
        recorded = records(site)
        wrong = (
            _other_versions(site, installation.versions)
            or _damaged(site, recorded)
            or (_stranger(site, recorded) if whole else "")
        )
        if not wrong:
            _refuse_two_owners(site, recorded, where, whole=whole)
        return installation, wrong

    try:
        installation, wrong = attempt()
        suspects = [*installation.versions]
    except PipelineError as error:
        wrong, suspects = error.what, _UNUSABLE.findall(error.what)
        if not suspects:
            raise
    if not wrong:
        return installation
    uv.forget(suspects)
    try:
        installation, still = attempt()
    except PipelineError as error:
        what = f"{wrong}, and it could not be fetched again: {error.what}"
        raise PipelineError(where, what, error.then) from error
    if still:
        then = "Lock another version of it, or fetch from another index."
        raise PipelineError(where, f"{still}, though it was fetched twice", then)
    return installation


def fits(data: bytes, recorded: str) -> bool:
    """Tell whether bytes have the hash that a RECORD gives them."""
    algorithm, _, wanted = recorded.partition("=")
    if algorithm not in _ALGORITHMS:
        return False
    digest = base64.urlsafe_b64encode(hashlib.new(algorithm, data).digest())
    return wanted == digest.rstrip(b"=").decode()


def records(site: Path) -> dict[str, dict[str, str]]:
    """Return what the wheels installed in a folder brought: by file, then by wheel, its hash."""
    found: dict[str, dict[str, str]] = {}
    for record in sorted(site.glob("*.dist-info/RECORD")):
        wheel = record.parent.name.removesuffix(".dist-info")
        with record.open(encoding="utf-8", errors="replace", newline="") as lines:
            rows = [*csv.reader(lines), [f"{record.parent.name}/RECORD", ""]]
        for name, digest in (row[:2] for row in rows if len(row) > 1):
            found.setdefault(os.path.normpath(name).replace(os.sep, "/"), {})[wheel] = digest
    return found


def _damaged(site: Path, recorded: Mapping[str, Mapping[str, str]]) -> str:
    """Name a file that is missing, or not as a RECORD has it."""
    for name, wheels in recorded.items():
        try:
            data = (site / name).read_bytes()
        except OSError:
            data = None
        # No list has its own hash, and what is compiled is compiled anew.
        if not any(wheels.values()) and data is not None and _NO_HASH.search(name):
            continue
        if data is None or not any(fits(data, digest) for digest in wheels.values()):
            return f"{name} is not as the wheel {min(wheels)} has it"
    return ""


def _other_versions(site: Path, versions: Mapping[str, str]) -> str:
    """Name a distribution that is in the folder or that uv has named, and not both."""
    found = {
        (normal(name), Version(version))
        for name, _, version in (path.stem.rpartition("-") for path in site.glob("*.dist-info"))
    }
    named = {(normal(name), Version(version)) for name, version in versions.items()}
    for name, version in sorted(found ^ named):
        there = "there and not asked for" if (name, version) in found else "not there"
        return f"{name} {version} is {there}"
    return ""


def _stranger(site: Path, recorded: Mapping[str, Mapping[str, str]]) -> str:
    """Name a file that no wheel has brought."""
    files = {path.relative_to(site).as_posix() for path in site.rglob("*") if not path.is_dir()}
    more = files - recorded.keys() - _FROM_UV
    return f"no wheel has the file {min(more)}" if more else ""


def _refuse_two_owners(
    site: Path, recorded: Mapping[str, Mapping[str, str]], where: str, *, whole: bool
) -> None:
    for name, wheels in recorded.items():
        # Where nothing is packed, a licence or a readme of two wheels makes no difference.
        if not whole and not name.endswith(_CODE):
            continue
        if len({*wheels.values()}) > 1 and not is_launcher(site, name):
            what = f"{' and '.join(wheels)} each bring another {name}: only one can be there"
            then = "Leave one of them out, or lock versions that do not clash."
            raise PipelineError(where, what, then)


def distribution_of(wheel: str) -> str:
    """Return the normalised name in that of a wheel."""
    return normal(wheel.rpartition("-")[0])
