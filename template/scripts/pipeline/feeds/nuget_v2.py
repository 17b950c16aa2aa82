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
from ..project.versions import normal_version
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
        key = f"Id='{quote(package.id)}',Version='{quote(package.version)}'"
        why = ""
        for base in self._bases():
            try:
                answer = self._read(f"{base}/Packages({key})", HTTPStatus.NOT_FOUND)
                if answer.status == HTTPStatus.NOT_FOUND:
                    # A feed that cannot be read says 404 as well, to this question too.
                    self._read(f"{base}/FindPackagesById()?id='{quote(package.id)}'")
                    return ABSENT
            except HttpError as error:
                why = why or f"{error.where}: {error.what}"
            else:
                return self._compare(package, answer, f"{base}/")
        return Found(State.UNKNOWN, why)

    def send(self, package: Candidate, progress: Progress) -> bool:
        """Push the package; only a source without a path has a path of its own for that."""
        url = self.source.url if _has_path(self.source.url) else f"{self._api}/package"
        return put_package(self.source, url, package, progress)

    def _bases(self) -> list[str]:
        """Return the addresses that the feed may be read below.

        nuget.exe takes the one that the source's own leads to, by NuGet.Protocol's
        ODataServiceDocumentUtils.cs. A gallery whose source has no path is read below /api/v2.
        """
        try:
            url = self._read(self.source.url).url
        except HttpError:
            url = without_user(self.source.url)
        base = url.partition("?")[0].rstrip("/")
        return [base] if _has_path(base) else [f"{base}/api/v2", base]

    @property
    def _api(self) -> str:
        return self.source.url.rstrip("/") + "/api/v2"

    def _read(self, url: str, *expect: int) -> Response:
        accept = {"Accept": "application/atom+xml,application/xml"}
        headers = accept | self.source.headers(url)
        request = Request("GET", url, headers, expect=expect, most=MOST_OF_AN_INDEX)
        return self.source.http.request(request)

    def _compare(self, package: Candidate, answer: Response, base: str) -> Found:
        entries = _entries(answer.body, package.version)
        if entries is None:
            return Found(State.UNKNOWN, f"{answer.where}: the answer is not a package entry")
        if not entries:
            return ABSENT
        entry = entries[0]
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


def _entries(body: bytes, version: str) -> list[ET.Element] | None:
    """Return the entry of an answer, or those of a feed that are of this version.

    None is an answer that is neither; some servers answer the one question with an entry, others
    with a feed.
    """
    # The null bytes are those of UTF-16, which would hide a document type from this check.
    if b"<!DOCTYPE" in body or b"\0" in body:
        return None
    try:
        root = ET.fromstring(body)  # noqa: S314 - without a document type there are no entities
    except ET.ParseError:
        return None
    if root.tag == f"{_ATOM}entry":
        return [root]
    wanted = normal_version(version)
    found = root.findall(f"{_ATOM}entry")
    mine = [entry for entry in found if normal_version(_text(entry, "Version")) == wanted]
    return mine if root.tag == f"{_ATOM}feed" else None


def _text(entry: ET.Element, name: str) -> str:
    found = next(entry.iter(f"{_DATA}{name}"), None)
    return (found.text or "").strip() if found is not None else ""


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""
