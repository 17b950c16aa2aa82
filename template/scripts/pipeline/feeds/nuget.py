"""NuGet servers of both protocols: what they share, and which of the two a URL speaks."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

from ..edge.http import Http, HttpError, Request
from ..edge.upload import Upload
from ..errors import PipelineError
from .feed import Candidate, Progress

__all__ = ["Source", "is_v3", "put_package"]

_KEY_HEADER = "X-NuGet-ApiKey"
# A server may take its time to look through a large package before it answers.
_SECONDS = 600.0


@dataclass(frozen=True)
class Source:
    """A NuGet source: the connections, its URL, the API key or "".

    With a `user`, the key is also the password of basic authentication, which some hosts want
    for reading and pushing alike.
    """

    http: Http
    url: str
    key: str = field(default="", repr=False)
    user: str = ""

    def headers(self, url: str) -> dict[str, str]:
        """Return the headers of a request; the password goes to the source's own host alone."""
        here, there = urlsplit(self.url), urlsplit(url)
        if not self.user or (here.scheme, here.netloc) != (there.scheme, there.netloc):
            return {}
        pair = base64.b64encode(f"{self.user}:{self.key}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}


def is_v3(url: str) -> bool:
    """Tell whether a source's URL is that of a v3 service index."""
    return urlsplit(url).path.lower().endswith(".json")


def put_package(source: Source, url: str, package: Candidate, progress: Progress) -> bool:
    """Send a package the way both protocols do; False for a version that is there (409).

    `PUT`, a form with the field `package`, the key in a header, a slash at the URL's end: as
    in NuGet.Client's PackageUpdateResource.cs. Any 2xx is success.
    """
    url = url.rstrip("/") + "/"
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
