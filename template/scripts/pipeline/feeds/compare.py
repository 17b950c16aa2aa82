"""Whether two package files are the same package: the same bytes, or the same content.

A feed may sign a package or write its zip anew. That changes neither the files in it, the
manifest with its digests among them, nor the nuspec's metadata.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

from ..core.errors import PipelineError
from ..core.text import few
from ..edge.http import Http, HttpError, Request
from ..package.contents import Package, PackageListing
from ..package.nupkg import SIGNATURE
from ..zip.reader import read_member
from .feed import ABSENT, SAME, Found, State

# A feed's file may be compressed less than ours, and be slow to come, within these bounds.
_TIMES_AS_LARGE = 8
_MORE = 64 << 20
_SECONDS = 3600.0


def compare_file(package: Package, path: Path) -> Found:
    """Compare a package with the feed's file at `path`. Raises OSError where that is not there."""
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() == package.sha256:
            return SAME
    ours = _content(package.listing)
    try:
        theirs = _content(Package.open(path).listing)
    except PipelineError as error:
        return Found(State.OTHER, f"what it has is not a valid package: {error.what}")
    names = sorted(name for name in theirs.keys() | ours if theirs.get(name) != ours.get(name))
    if not names:
        return SAME
    return Found(State.OTHER, f"different in {few(names)}")


def compare_download(package: Package, http: Http, request: Request) -> Found:
    """Compare a package with what a request answers; 404 means that nothing is there."""
    most = _TIMES_AS_LARGE * package.size + _MORE
    request = replace(request, most=most, answer_seconds=_SECONDS)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "theirs.nupkg"
        try:
            with path.open("wb") as file:
                http.download(request, file.write)
        except HttpError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return ABSENT
            return Found(State.UNKNOWN, f"{error.where}: {error.what}")
        return compare_file(package, path)


def _content(listing: PackageListing) -> dict[str, bytes]:
    metadata = hashlib.sha256(
        repr(sorted(map(repr, listing.nuspec.metadata.children))).encode()
    ).digest()
    files = {
        name: hashlib.sha256(read_member(listing.archive, entry)).digest()
        for name, entry in listing.files.items()
        if name != SIGNATURE
    }
    return {**files, "the nuspec": metadata}
