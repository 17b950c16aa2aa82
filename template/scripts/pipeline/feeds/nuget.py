"""NuGet servers, v2 and v3: what both protocols share, how each is read, which one a URL speaks."""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

from ..core.errors import PipelineError
from ..edge.http import Http, HttpError, Request, Response
from ..edge.upload import Upload
from ..edge.urls import joined, origin, without_user
from ..package.contents import Package
from ..project.versions import normal_version
from .compare import compare_download
from .feed import ABSENT, Found, Progress, State

_KEY_HEADER = "X-NuGet-ApiKey"
# A server may check a large package for minutes before it answers.
_SECONDS = 600.0
MOST_OF_AN_INDEX = 4 << 20  # bytes of a service index, or of a package's entry
_ATOM = "{http://www.w3.org/2005/Atom}"
_VERSION = ".//{http://schemas.microsoft.com/ado/2007/08/dataservices}Version"
# Of each the first one that is there, as NuGet's client chooses.
_PUSH = ("PackagePublish/Versioned", "PackagePublish/2.0.0")
_READ = ("PackageBaseAddress/Versioned", "PackageBaseAddress/3.0.0")


@dataclass(frozen=True)
class Source:
    """A NuGet source: the connections, its URL, the API key or "".

    With a `user`, the key is also the password of basic authentication, which some hosts want
    for reading and pushing alike. A service index may name any host: key and password go only to
    the URL's own host, port and scheme, and to the hosts in `trusted`, as `feed.example` or
    `feed.example:8443`.
    """

    http: Http
    url: str = field(repr=False)
    key: str = field(default="", repr=False)
    user: str = ""
    trusted: tuple[str, ...] = ()

    def trusts(self, url: str) -> bool:
        """Tell whether the key may go to a URL: never from https to http, whatever is trusted."""
        here, there = origin(self.url), origin(url)
        if here is None or there is None or here == there:
            return here is not None and here == there
        scheme = there[0]
        is_named = any(origin(f"{scheme}://{name}") == there for name in self.trusted)
        return is_named and (scheme == "https" or here[0] == "http")

    def headers(self, url: str) -> dict[str, str]:
        """Return the headers of a request; without the password where it may not go."""
        if not self.user or not self.trusts(url):
            return {}
        pair = base64.b64encode(f"{self.user}:{self.key}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}


@dataclass(frozen=True)
class _Nuget:
    source: Source

    @property
    def name(self) -> str:
        """The feed's URL."""
        return without_user(self.source.url)


def nuget_feed(source: Source) -> NugetV2 | NugetV3:
    """Return the feed of a source; its URL tells whether it is that of a v3 service index."""
    is_v3 = urlsplit(source.url).path.lower().endswith(".json")
    return NugetV3.open(source) if is_v3 else NugetV2(source)


def put_package(source: Source, url: str, package: Package, progress: Progress) -> bool:
    """Send a package the way both protocols do; False for a version that is there (409).

    `PUT`, a form with the field `package`, the key in a header, a slash at the URL's end: as
    in NuGet.Client's PackageUpdateResource.cs. Any 2xx is success.
    """
    url = url.rstrip("/") + "/"
    if source.key and not source.trusts(url):
        raise _untrusted(source, url)
    headers = source.headers(url) | ({_KEY_HEADER: source.key} if source.key else {})
    body = Upload(package.path, "package", "package.nupkg", progress)
    conflict = HTTPStatus.CONFLICT
    request = Request("PUT", url, headers, body=body, expect=(conflict,), seconds=_SECONDS)
    try:
        return source.http.request(request).status != conflict
    except HttpError as error:
        if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            problem = "does not take this API key" if source.key else "wants an API key"
            raise PipelineError(
                error.where,
                f"the feed {problem}: {error.what}",
                "Set NUGET_API_KEY to a key that may push there, and NUGET_USER too where the feed "
                "wants a user and a password.",
            ) from error
        raise


def _untrusted(source: Source, url: str) -> PipelineError:
    there, place = origin(url), without_user(url)
    if there is None:
        then = "Tell whoever runs the feed."
    elif there[0] == "http" and source.url.lower().startswith("https:"):
        then = "The feed has to name an https address: the key would be read on the way."
    else:
        host = place.partition("://")[2].partition("/")[0]
        then = (
            f"If that server may have the key, pass --trust-host {host}, or write trust-hosts = "
            f'["{host}"] in pyproject.toml [tool.pipeline.push].'
        )
    return PipelineError(
        without_user(source.url),
        f"it wants packages to be sent to {place}, and the API key was not given for that server",
        then,
    )


@dataclass(frozen=True)
class NugetV2(_Nuget):
    """A v2 feed: packages are put to the source itself, and read below it through OData.

    Only a source without a path has a path of its own for that, as galleries do. Write-only feeds,
    as Octopus's own `/nuget/packages`, answer reading with an error; nothing can be compared then.
    """

    @property
    def _base(self) -> str:
        base = _plain(self.source.url)
        return base if _has_path(base) else f"{base}/api/v2"

    def find(self, package: Package) -> Found:
        """Compare by the file that the package's entry leads to."""
        try:
            return self._find(package, self._base)
        except HttpError as error:
            # As nuget.exe, by NuGet.Protocol's ODataServiceDocumentUtils.cs: where the source's
            # own address leads. A feed may be at a server's root, too.
            with suppress(HttpError):
                return self._find(package, _plain(self._read(self.source.url).url))
            return Found(State.UNKNOWN, f"{error.where}: {error.what}")

    def _find(self, package: Package, base: str) -> Found:
        id_, version = quote(package.id), quote(package.version)
        entry = f"{base}/Packages(Id='{id_}',Version='{version}')"
        answer = self._read(entry, HTTPStatus.NOT_FOUND)
        if answer.status != HTTPStatus.NOT_FOUND:
            return self._compare(package, answer, base)
        # A feed that cannot be read says 404 as well, to this question too.
        self._read(f"{base}/FindPackagesById()?id='{id_}'")
        return ABSENT

    def send(self, package: Package, progress: Progress) -> bool:
        """Push the package."""
        url = self.source.url
        where = url if _has_path(url) else f"{self._base}/package"
        return put_package(self.source, where, package, progress)

    def _read(self, url: str, *expect: int) -> Response:
        headers = {"Accept": "application/atom+xml,application/xml"} | self.source.headers(url)
        request = Request("GET", url, headers, expect=expect, most=MOST_OF_AN_INDEX)
        return self.source.http.request(request)

    def _compare(self, package: Package, answer: Response, base: str) -> Found:
        entries = _entries(answer.body, package.version)
        if entries is None:
            return Found(State.UNKNOWN, f"{answer.where}: the answer is not a package entry")
        if not entries:
            return ABSENT
        content = entries[0].find(f"{_ATOM}content[@src]")
        url = joined(f"{base}/", content.attrib["src"]) if content is not None else ""
        if not url:
            what = "the entry does not lead to the package's file"
            return Found(State.UNKNOWN, f"{answer.where}: {what}")
        request = Request("GET", url, self.source.headers(url))
        return compare_download(package, self.source.http, request)


def _plain(url: str) -> str:
    return url.partition("?")[0].rstrip("/")


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
    mine = [one for one in found if normal_version(one.findtext(_VERSION, "")) == wanted]
    return mine if root.tag == f"{_ATOM}feed" else None


@dataclass(frozen=True)
class NugetV3(_Nuget):
    """A v3 feed: a service index that names where to push and where to read.

    `read` is empty for one that cannot be read without a search. The resources are those of
    NuGet.Protocol's ServiceTypes.cs.
    """

    push: str
    read: str

    @classmethod
    def open(cls, source: Source) -> NugetV3:
        """Read the service index. Raises PipelineError for a feed that takes no packages."""
        headers = source.headers(source.url)
        request = Request("GET", source.url, headers, most=MOST_OF_AN_INDEX)
        answer = source.http.request(request)
        resources = dict(_resources(answer.json()))
        push_at, read_at = (
            next((resources[kind] for kind in kinds if kind in resources), "")
            for kinds in (_PUSH, _READ)
        )
        if not push_at:
            raise PipelineError(
                without_user(source.url),
                f"this service index has no {_PUSH[-1]}, it has "
                + (", ".join(sorted(resources)) or "no resources"),
                "Look at the URL: it is that of a NuGet v3 feed which takes packages.",
            )
        push = joined(source.url, push_at)
        if not push:
            raise PipelineError(
                answer.where,
                f"its {_PUSH[-1]} is {push_at!r}, which is not the address of a server",
                "Tell whoever runs the feed.",
            )
        return cls(source, push, joined(source.url, read_at) if read_at else "")

    def find(self, package: Package) -> Found:
        """Download what the feed has, by lower-case id and normalised version, and compare."""
        if not self.read:
            return Found(State.UNKNOWN, f"its service index has no {_READ[-1]} that can be used")
        name, version = package.id.lower(), normal_version(package.version).lower()
        path = f"{quote(name)}/{quote(version)}/{quote(f'{name}.{version}')}.nupkg"
        url = f"{self.read.rstrip('/')}/{path}"
        request = Request("GET", url, self.source.headers(url))
        return compare_download(package, self.source.http, request)

    def send(self, package: Package, progress: Progress) -> bool:
        """Push the package."""
        return put_package(self.source, self.push, package, progress)


def _resources(index: Any) -> Iterator[tuple[str, str]]:
    """Yield (type, address); the first of a type comes last, and so counts in a dictionary."""
    resources = index.get("resources") if isinstance(index, dict) else None
    for resource in reversed(resources if isinstance(resources, list) else []):
        if isinstance(resource, dict) and isinstance(resource.get("@id"), str):
            kinds = resource.get("@type")
            for kind in kinds if isinstance(kinds, list) else [kinds]:
                yield str(kind), resource["@id"]
