"""One space of an Octopus server: where it is, what it knows, and its resources.

Endpoints and shapes as in go-octopusdeploy and Octopus's TypeScript client, which older and
newer servers both serve; link templates of the server are not needed. The names of properties
begin with a capital or not, by server version: documents are read and changed by functions here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from ..edge.http import Http, HttpError, Request
from ..errors import PipelineError

__all__ = ["Access", "Document", "Octopus", "changed", "connect", "read", "text", "texts"]

Document = Mapping[str, Any]

_PAGE = 100
# The first server with spaces.
_OLDEST = (2019, 1)
# The first server with the executions API, by Octopus's TypeScript client.
_EXECUTIONS = (2022, 3, 5512)
_DEVELOPMENT = "0.0.0"
_PATH = re.compile(r"[A-Za-z0-9._~%/-]*")


@dataclass(frozen=True)
class Access:
    """How to reach Octopus: the address, which may have a path, a key, and a space's name."""

    url: str
    key: str = field(repr=False)
    space: str = ""

    @property
    def missing(self) -> str:
        """The environment variables that would have to be set, in words; empty when none."""
        given = {"OCTOPUS_URL": self.url, "OCTOPUS_API_KEY": self.key}
        return " and ".join(name for name, value in given.items() if not value)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every request."""
        return {"X-Octopus-ApiKey": self.key, "Accept": "application/json"}


@dataclass(frozen=True)
class Octopus:
    """A space; without an id, the server as a whole."""

    http: Http
    access: Access
    version: str
    space_id: str
    space_name: str

    @property
    def api(self) -> str:
        """The address that the space's resources are below."""
        base = f"{_base(self.access)}/api"
        return f"{base}/{self._checked(self.space_id)}" if self.space_id else base

    @property
    def has_executions(self) -> bool:
        """Tell whether releases and deployments are made by the executions API."""
        return _is_since(self.version, _EXECUTIONS)

    @property
    def whole_server(self) -> Octopus:
        """The same server without a space, for the few resources that are not in one."""
        return replace(self, space_id="", space_name="")

    def link(self, path: str) -> str:
        """Return the page of the web portal that shows something, such as `tasks/ServerTasks-1`."""
        return f"{_base(self.access)}/app#/{self.space_id}/{path}"

    def get(self, path: str, **query: object) -> Any:
        """Read a resource."""
        return self._request("GET", path, query=query)

    def find(self, path: str) -> Document | None:
        """Read a resource that may not be there."""
        try:
            found: Document = self.get(path)
        except HttpError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return found

    def post(self, path: str, document: Document, **query: object) -> Any:
        """Send a document; raises NoAnswerError when it is unknown whether it had its effect."""
        return self._request("POST", path, document, query)

    def put(self, path: str, document: Document) -> Any:
        """Replace a resource."""
        return self._request("PUT", path, document)

    def delete(self, path: str) -> None:
        """Remove a resource; one that is gone already is no error."""
        try:
            self._request("DELETE", path)
        except HttpError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise

    def all(self, path: str, **query: object) -> Iterator[Document]:
        """Yield the resources of a collection, page by page."""
        seen = 0
        while True:
            page = self.get(path, **query, skip=seen, take=_PAGE)
            items = read(page, "Items", [])
            yield from items
            seen += len(items)
            if not items or seen >= int(read(page, "TotalResults", 0)):
                return

    def named(self, path: str, name: str) -> Document | None:
        """Return the resource of a collection with that name in any case, or None."""
        for item in self.all(path, partialName=name):
            if text(item, "Name").casefold() == name.casefold():
                return item
        return None

    def _checked(self, path: str) -> str:
        """Return a path unless an id in it, which the server told, leads to another resource."""
        if _PATH.fullmatch(path) and ".." not in path.split("/"):
            return path
        raise PipelineError(
            f"Octopus at {_base(self.access)}",
            f"it gave an id that cannot be one: {path[:200]!r}",
            "Look at the server, and at what stands between this machine and it.",
        )

    def _request(
        self, method: str, path: str, document: Document | None = None,
        query: Mapping[str, object] | None = None,
    ) -> Any:  # fmt: skip
        words = f"?{urlencode(query, quote_via=quote)}" if query else ""
        url = f"{self.api}/{self._checked(path)}{words}"
        return self.http.request(Request(method, url, self.access.headers, document)).json()


def connect(http: Http, access: Access) -> Octopus:
    """Return the space that `access` names; the server's default one when it names none.

    Raises PipelineError where the server does not know the space, is too old, or is no Octopus.
    """
    root = Octopus(http, access, "", "", "").get("")
    version = text(root, "Version") if isinstance(root, Mapping) else ""
    if not version:
        raise PipelineError(
            f"Octopus at {_base(access)}",
            "this is not an Octopus server: /api tells no version",
            "Correct OCTOPUS_URL; a path in front of /api belongs to it.",
        )
    if not _is_since(version, _OLDEST):
        raise PipelineError(
            f"Octopus at {_base(access)}",
            f"this server is version {version}, from before there were spaces",
            f"{'.'.join(map(str, _OLDEST))} is the oldest version that is supported: update it.",
        )
    spaces = list(Octopus(http, access, version, "", "").all("spaces"))
    for space in spaces:
        is_it = text(space, "Name").casefold() == access.space.casefold()
        if is_it if access.space else read(space, "IsDefault"):
            return Octopus(http, access, version, text(space, "Id"), text(space, "Name"))
    raise PipelineError(
        f"Octopus at {_base(access)}",
        f"there is no space {access.space!r}" if access.space else "there is no default space",
        f"The API key sees {', '.join(text(space, 'Name') for space in spaces) or 'none'}. Set "
        "OCTOPUS_SPACE, or space in pyproject.toml [tool.pipeline.octopus].",
    )


def _is_since(version: str, first: tuple[int, ...]) -> bool:
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    return version.startswith(_DEVELOPMENT) or numbers >= first


def _base(access: Access) -> str:
    return access.url.rstrip("/").removesuffix("/api")


def read(document: Document, name: str, default: Any = None) -> Any:
    """Return a property by its name with a capital; `default` where it is absent or null."""
    value = document.get(name, document.get(_small(name)))
    return default if value is None else value


def text(document: Document, name: str) -> str:
    """Return a property as text; empty where it is absent."""
    return str(read(document, name, ""))


def texts(document: Document, name: str) -> list[str]:
    """Return a property that is a list of texts; empty where it is absent."""
    return [str(item) for item in read(document, name, [])]


def changed(document: Document, **properties: Any) -> dict[str, Any]:
    """Return a document with properties replaced, each in the casing it has there."""
    result = dict(document)
    for name, value in properties.items():
        small = _small(name)
        result[small if small in document and name not in document else name] = value
    return result


def _small(name: str) -> str:
    return name[:1].lower() + name[1:]
