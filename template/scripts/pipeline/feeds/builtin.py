"""Octopus's built-in feed, through its REST API.

Pushing as go-octopusdeploy's package_service.go and api-client.ts's packageRepository.ts do it;
reading as in Octopus's documented example of downloading a package from the built-in feed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import quote

from ..edge.http import Http, HttpError, Request
from ..edge.upload import Upload
from ..edge.urls import without_user
from ..package.contents import Package
from .compare import compare_download
from .feed import Found, Progress

_EXISTS = "already exists"
_SECONDS = 600.0


@dataclass(frozen=True)
class BuiltInFeed:
    """The built-in feed of one space; `api` is its base, such as `https://host/api/Spaces-1`."""

    http: Http
    api: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    @property
    def name(self) -> str:
        """The feed as people know it, with the server it is on."""
        return f"the built-in feed of {without_user(self.api).partition('/api')[0]}"

    def find(self, package: Package) -> Found:
        """Compare by the package's file: its resource has no hash."""
        label = quote(f"{package.id}.{package.version}", safe="")
        request = Request("GET", f"{self.api}/packages/{label}/raw", self.headers)
        return compare_download(package, self.http, request)

    def send(self, package: Package, progress: Progress) -> bool:
        """Push the package without overwriting.

        A version that is there is 409 on some servers and 400 on others; 200 means that the
        server kept what it had.
        """
        url = f"{self.api}/packages/raw?overwriteMode=FailIfExists"
        body = Upload(package.path, "file", package.file_name, progress)
        request = Request("POST", url, self.headers, body=body, seconds=_SECONDS)
        try:
            answer = self.http.request(request)
        except HttpError as error:
            if error.status == HTTPStatus.CONFLICT or (
                error.status == HTTPStatus.BAD_REQUEST and _EXISTS in error.what.lower()
            ):
                return False
            raise
        return answer.status == HTTPStatus.CREATED
