"""A NuGet v2 feed, as far as a client that pushes and installs one package needs it.

The real client pushes to it and installs from it in `tests/feeds/test_real_client.py`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from pipeline.package.contents import Package

from tests.standins.loopback import Answer, Asked, form_file

KEY = "key-of-the-feed"
_ENTRY = re.compile(r"/Packages\(Id='([^']+)',Version='([^']+)'\)\Z")
_FILE = re.compile(r"/package/([^/]+)/([^/]+)\Z")
_NAMESPACES = (
    'xmlns="http://www.w3.org/2005/Atom" '
    'xmlns:d="http://schemas.microsoft.com/ado/2007/08/dataservices" '
    'xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"'
)
_XML = {"Content-Type": "application/atom+xml;type=entry;charset=utf-8"}


def identity(content: bytes) -> tuple[str, str]:
    """Return id and version of a package's bytes."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "it.nupkg"
        path.write_bytes(content)
        nuspec = Package.open(path).listing.nuspec
    return nuspec.id, nuspec.version


@dataclass
class NugetV2Feed:
    """The feed below `base`.

    `readable` is off for write-only feeds; `replaces` is how some servers are set up: a version
    that is there is replaced. `answers_feeds` is how some answer the question for one entry;
    `moved` is where the source's own address leads, and "/" that the feed is at the root.
    """

    base: str = "/nuget"
    readable: bool = True
    replaces: bool = False
    answers_feeds: bool = False
    moved: str = ""
    packages: dict[tuple[str, str], bytes] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def __call__(self, asked: Asked) -> Answer | None:
        """Answer a request."""
        path = unquote(urlsplit(asked.path).path)
        if asked.method == "PUT":
            return self._put(asked, path)
        if asked.method != "GET":
            return None
        if not self.readable:
            # Octopus's docs, "Built-in Octopus repository": a write-only repository.
            return Answer(404, b"<html><body>Not Found</body></html>")
        return self._get(asked, path)

    def _put(self, asked: Asked, path: str) -> Answer | None:
        # NuGet.Client PackageUpdateResource.cs: PUT to the source with a slash at its end, or to
        # /api/v2/package/ where the source has no path; 2.8.7 does the same.
        if path != (f"{self.base}/" if self.base else "/api/v2/package/"):
            return None
        # NuGet.Client: the key is in this header; 403 means that it is not taken.
        if asked.headers.get("x-nuget-apikey") != KEY:
            return Answer(403, b"The specified API key is invalid.")
        name, _, content = form_file(asked)
        # NuGet.Client and 2.8.7: the part's name.
        assert name == "package"
        id_, version = identity(content)
        key = (id_.lower(), version)
        if key in self.packages and not self.replaces:
            # NuGet.Client PackageUpdateResource.cs: 409 is a version that exists.
            return Answer(409, b"A package with that id and version exists.")
        self.packages[key] = content
        self.names[key[0]] = id_
        return Answer(201)

    def _get(self, asked: Asked, path: str) -> Answer | None:
        if self.moved and path == self.base:
            return Answer(302, b"", {"Location": f"{self.moved}?from=source"})
        base = self.moved.rstrip("/") if self.moved else self.base or "/api/v2"
        if path in (f"{base}/", base, f"{self.base}/"):
            # 2.8.7 asks for the source's root before anything else.
            return Answer(200, b"<service/>", {"Content-Type": "application/xml"})
        if path == f"{base}/FindPackagesById()":
            id_ = parse_qs(urlsplit(asked.path).query)["id"][0].strip("'").lower()
            entries = "".join(self._entry(k, asked) for k in self.packages if k[0] == id_)
            return Answer(200, f"<feed {_NAMESPACES}>{entries}</feed>".encode(), _XML)
        if path.startswith(f"{base}/Packages(") and (found := _ENTRY.search(path)):
            key = (found[1].lower(), found[2])
            if self.answers_feeds:
                entries = "".join(self._entry(k, asked) for k in self.packages if k[0] == key[0])
                return Answer(200, f"<feed {_NAMESPACES}>{entries}</feed>".encode(), _XML)
            if key not in self.packages:
                return Answer(404, b"<error/>")
            return Answer(200, self._entry(key, asked, _NAMESPACES).encode(), _XML)
        if found := _FILE.search(path):
            return Answer(
                200, self.packages[found[1], found[2]], {"Content-Type": "application/zip"}
            )
        return Answer(404, b"<html/>") if self.moved else None

    def _entry(self, key: tuple[str, str], asked: Asked, namespaces: str = "") -> str:
        # The OData entry of NuGet's v2 protocol: title is the id, content leads to the file.
        content, version = self.packages[key], key[1]
        id_ = self.names.get(key[0], key[0])
        root = f"http://{asked.headers['host']}{self.base or '/api/v2'}"
        digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
        return (
            f"<entry {namespaces}>"
            f"<id>{root}/Packages(Id='{escape(id_)}',Version='{version}')</id>"
            f'<title type="text">{escape(id_)}</title><updated>2024-01-01T00:00:00Z</updated>'
            f"<author><name>Acme</name></author>"
            f'<content type="application/zip" src="{root}/package/{key[0]}/{key[1]}"/>'
            f"<m:properties><d:Version>{version}</d:Version>"
            f"<d:PackageHash>{digest}</d:PackageHash>"
            "<d:PackageHashAlgorithm>SHA512</d:PackageHashAlgorithm>"
            "</m:properties></entry>"
        )
