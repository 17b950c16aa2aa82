"""NuGet servers of both protocols: what they share, and which of the two a URL speaks."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

from ..core.errors import PipelineError
from ..edge.http import Http, HttpError, Request
from ..edge.upload import Upload
from ..edge.urls import origin, without_user
from .feed import Candidate, Progress

_KEY_HEADER = "X-NuGet-ApiKey"
# A server may check a large package for minutes before it answers.
_SECONDS = 600.0
MOST_OF_AN_INDEX = 4 << 20  # bytes of a service index, or of a package's entry


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


def is_v3(url: str) -> bool:
    """Tell whether a source's URL is that of a v3 service index."""
    return urlsplit(url).path.lower().endswith(".json")


def put_package(source: Source, url: str, package: Candidate, progress: Progress) -> bool:
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
