"""A NuGet v2 feed: packages are put to the source itself, and read through OData.

Write-only feeds, as Octopus's own `/nuget/packages`, answer reading with an error; nothing can be
compared then.
"""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from ..edge.http import HttpError, Request, Response
from ..edge.urls import joined, without_user
from .compare import compare_download
from .feed import ABSENT, SAME, Candidate, Found, Progress, State
from .nuget import MOST_OF_AN_INDEX, Source, put_package

_ATOM = "{http://www.w3.org/2005/Atom}"
_DATA = "{http://schemas.microsoft.com/ado/2007/08/dataservices}"
_ALGORITHMS = {"SHA512": "sha512", "SHA256": "sha256"}


@dataclass(frozen=True)
class NugetV2:
    """A v2 feed."""

    source: Source

    @property
    def name(self) -> str:
        """The feed's URL."""
        return without_user(self.source.url)

    def find(self, package: Candidate) -> Found:
        """Compare by the entry's package hash, else by the file that it leads to."""
        base = self.source.url.rstrip("/") if _has_path(self.source.url) else self._api
        key = f"Id='{quote(package.id)}',Version='{quote(package.version)}'"
        try:
            answer = self._read(f"{base}/Packages({key})", HTTPStatus.NOT_FOUND)
            if answer.status == HTTPStatus.NOT_FOUND:
                # A feed that cannot be read says 404 as well, to this question too.
                self._read(f"{base}/FindPackagesById()?id='{quote(package.id)}'")
                return ABSENT
        except HttpError as error:
            return Found(State.UNKNOWN, f"{error.where}: {error.what}")
        return self._compare(package, answer, f"{base}/")

    def send(self, package: Candidate, progress: Progress) -> bool:
        """Push the package; only a source without a path has a path of its own for that."""
        url = self.source.url if _has_path(self.source.url) else f"{self._api}/package"
        return put_package(self.source, url, package, progress)

    @property
    def _api(self) -> str:
        return self.source.url.rstrip("/") + "/api/v2"

    def _read(self, url: str, *expect: int) -> Response:
        accept = {"Accept": "application/atom+xml,application/xml"}
        headers = accept | self.source.headers(url)
        request = Request("GET", url, headers, expect=expect, most=MOST_OF_AN_INDEX)
        return self.source.http.request(request)

    def _compare(self, package: Candidate, answer: Response, base: str) -> Found:
        entry = _entry(answer.body)
        if entry is None:
            return Found(State.UNKNOWN, f"{answer.where}: the answer is not a package entry")
        algorithm = _ALGORITHMS.get(_text(entry, "PackageHashAlgorithm").upper(), "")
        if algorithm and _decoded(_text(entry, "PackageHash")) == package.digest(algorithm):
            return SAME
        content = entry.find(f"{_ATOM}content")
        address = content.get("src", "") if content is not None else ""
        url = joined(base, address) if address else ""
        if not url:
            return Found(
                State.UNKNOWN, f"{answer.where}: the entry does not lead to the package's file"
            )
        request = Request("GET", url, self.source.headers(url))
        found = compare_download(package, self.source.http, request)
        return Found(State.UNKNOWN, "the entry's file is missing") if found is ABSENT else found


def _has_path(url: str) -> bool:
    return urlsplit(url).path.strip("/") != ""


def _entry(body: bytes) -> ET.Element | None:
    # The null bytes are those of UTF-16, which would hide a document type from this check.
    if b"<!DOCTYPE" in body or b"\0" in body:
        return None
    try:
        root = ET.fromstring(body)  # noqa: S314 - without a document type there are no entities
    except ET.ParseError:
        return None
    return root if root.tag == f"{_ATOM}entry" else None


def _text(entry: ET.Element, name: str) -> str:
    found = next(entry.iter(f"{_DATA}{name}"), None)
    return (found.text or "").strip() if found is not None else ""


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""
