"""One space of an Octopus server, and the documents that it answers with.

Endpoints and shapes as in go-octopusdeploy and Octopus's TypeScript client; older and newer
servers both have them. Every property is checked against its type where it is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from ..core.errors import PipelineError
from ..edge.http import Http, HttpError, NoAnswerError, Request
from ..edge.urls import plain_http_host, without_user

_PAGE = 100
_MOST_PAGES = 1000
_EXCERPT = 60  # characters of a value that should not be there
_STRANGE = "Look at what stands between this machine and Octopus, and at the server's log."
# The first server with spaces.
_OLDEST = (2019, 1)
# The first server with the executions API, by Octopus's TypeScript client.
_EXECUTIONS = (2022, 3, 5512)
_DEVELOPMENT = "0.0.0"
_T = TypeVar("_T")
# Ids become a part of addresses; an empty one would address the whole collection.
_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_+-]|\.(?!\.)){0,300}")


class Document(dict[str, Any]):
    """A resource of Octopus; its properties are read by their names with a capital.

    Some servers write them so, others with a small letter. A property of another type than
    expected raises `fault` with `where`, the request that was answered. A strange answer to a
    request that changes something leaves open whether it did.
    """

    where: str = "Octopus"
    fault: type[PipelineError] = PipelineError

    @classmethod
    def of(cls, value: object, where: str, fault: type[PipelineError]) -> Document:
        """Return a JSON value as a document; raises `fault` for one that is no object."""
        if not isinstance(value, Mapping):
            raise fault(where, f"the answer is {_excerpt(value)}, not an object", _STRANGE)
        made = cls(value)
        made.where, made.fault = where, fault
        return made

    def text(self, name: str) -> str:
        """Return a text, fit for UTF-8; empty where it is absent or null."""
        return _encodable(self._read(name, "", str, "a text"))

    def texts(self, name: str) -> list[str]:
        """Return a list of texts; empty where it is absent."""
        return [_encodable(item) for item in self._list(name, str, "a list of texts")]

    def identity(self, name: str = "Id") -> str:
        """Return a resource's id, which has to be there."""
        found = self.reference(name)
        if not found:
            raise self._strange(name, None, "an id")
        return found

    def reference(self, name: str) -> str:
        """Return the id of another resource; empty where there is none."""
        found = self.text(name)
        if found and not _ID.fullmatch(found):
            raise self._strange(name, found, "an id")
        return found

    def flag(self, name: str) -> bool:
        """Return true or false; false where it is absent."""
        return bool(self._read(name, False, bool, "true or false"))  # noqa: FBT003 - the default

    def number(self, name: str) -> int:
        """Return a whole number; 0 where it is absent."""
        return int(self._read(name, 0, int, "a number"))

    def document(self, name: str) -> Document:
        """Return an object; an empty one where it is absent."""
        value = self._read(name, {}, Mapping, "an object")
        return Document.of(value, self.where, self.fault)

    def documents(self, name: str) -> list[Document]:
        """Return a list of objects; empty where it is absent."""
        found = self._list(name, Mapping, "a list of objects")
        return [Document.of(item, self.where, self.fault) for item in found]

    def resources(self) -> list[Document]:
        """Return the resources on a page of a collection. A page must have a list of them."""
        if self.any("Items") is None:
            raise self._strange("Items", None, "a list of objects")
        return self.documents("Items")

    def changed(self, **properties: Any) -> Document:
        """Return the document with properties replaced, each in the casing it has here."""
        result = Document.of(self, self.where, self.fault)
        for name, value in properties.items():
            small = _small(name)
            result[small if small in self and name not in self else name] = value
        return result

    def any(self, name: str) -> Any:
        """Return a property of any type; None where it is absent."""
        return self.get(name, self.get(_small(name)))

    def _read(self, name: str, default: object, kind: Any, wanted: str) -> Any:
        value = self.any(name)
        if value is not None and not isinstance(value, kind):
            raise self._strange(name, value, wanted)
        return default if value is None else value

    def _list(self, name: str, kind: type, words: str) -> list[Any]:
        value: list[Any] = self._read(name, [], list, words)
        if not all(isinstance(item, kind) for item in value):
            raise self._strange(name, value, words)
        return value

    def _strange(self, name: str, value: object, wanted: str) -> PipelineError:
        is_absent = value is None
        has = f"no {name}" if is_absent else f"{_excerpt(value)} for {name}, which is not {wanted}"
        return self.fault(self.where, f"the answer is strange: it has {has}", _STRANGE)


@dataclass(frozen=True)
class Access:
    """How to reach Octopus: the address, which may have a path, a key, and a space's name.

    `token` is an access token of OpenID Connect, which counts where there is no API key.
    """

    url: str = field(repr=False)
    key: str = field(repr=False)
    space: str = ""
    token: str = field(default="", repr=False)

    @property
    def base(self) -> str:
        """The address in front of `/api`."""
        return self.url.rstrip("/").removesuffix("/api")

    @property
    def missing(self) -> str:
        """The names of the environment variables that are not set, in words; "" when all are."""
        given = {"OCTOPUS_URL": self.url, "OCTOPUS_API_KEY": self.key or self.token}
        return " and ".join(name for name, value in given.items() if not value)

    def check(self, otherwise: str = "") -> None:
        """Raise PipelineError that names the environment variables that are not set.

        `otherwise` is a way without Octopus.
        """
        if self.missing:
            then = (
                "Set what is missing in the environment; OCTOPUS_API_KEY=- reads the key from "
                "standard input. OCTOPUS_ACCESS_TOKEN does instead of a key."
            )
            raise PipelineError(
                "Octopus", f"not set: {self.missing}", f"{then}\n{otherwise}".rstrip()
            )

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every request."""
        own = (
            {"X-Octopus-ApiKey": self.key}
            if self.key
            else {"Authorization": f"Bearer {self.token}"}
        )
        return {**own, "Accept": "application/json"}


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
        base = f"{self.access.base}/api"
        return f"{base}/{self.space_id}" if self.space_id else base

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
        return f"{without_user(self.access.base)}/app#/{self.space_id}/{path}"

    def get(self, path: str, **query: object) -> Document:
        """Read a resource."""
        return self._request("GET", path, query=query)

    def find(self, path: str) -> Document | None:
        """Read a resource that may not be there."""
        try:
            return self.get(path)
        except HttpError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def post(self, path: str, document: Mapping[str, Any], **query: object) -> Document:
        """Send a document; raises NoAnswerError when it is unknown whether it had its effect."""
        return self._request("POST", path, document, query)

    def execute(self, path: str, **document: Any) -> Document:
        """Post a request of the executions API, whose names begin with a small letter."""
        space = {"spaceId": self.space_id, "spaceIdOrName": self.space_id}
        return self.post(path, {**space, **document})

    def update(self, path: str, resource: Document, **properties: Any) -> Document:
        """Change properties of a resource in the collection at `path`; return the new one."""
        url = f"{path}/{resource.identity()}"
        return self._request("PUT", url, resource.changed(**properties))

    def delete(self, path: str) -> None:
        """Remove a resource; a missing one is no error."""
        try:
            self._request("DELETE", path)
        except HttpError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise

    def all(self, path: str, **query: object) -> Iterator[Document]:
        """Yield the resources of a collection, page by page."""
        seen = 0
        for _ in range(_MOST_PAGES):
            page = self.get(path, **query, skip=seen, take=_PAGE)
            found = page.resources()
            yield from found
            seen += len(found)
            if not found or seen >= page.number("TotalResults"):
                return
        raise PipelineError(
            without_user(f"{self.api}/{path}"),
            f"this list has no end: {seen} so far",
            _STRANGE,
        )

    def named(self, path: str, name: str) -> Document | None:
        """Return the resource of a collection with that name in any case, or None."""
        for item in self.all(path, partialName=name):
            if item.text("Name").casefold() == name.casefold():
                return item
        return None

    def required(self, path: str, kind: str, name: str, then: str) -> Document:
        """Return the resource of a collection with that name in any case.

        Raises PipelineError where there is none; it calls it a `kind` and says `then`.
        """
        found = self.named(path, name)
        if found is None:
            what = f"space {self.space_name} has none of that name"
            raise PipelineError(f"Octopus {kind} {name}", what, then)
        return found

    def _request(
        self, method: str, path: str, document: Mapping[str, Any] | None = None,
        query: Mapping[str, object] | None = None,
    ) -> Document:  # fmt: skip
        words = f"?{urlencode(query, quote_via=quote)}" if query else ""
        url = f"{self.api}/{path}{words}"
        answer = self.http.request(Request(method, url, self.access.headers, document))
        if method == "GET":
            return Document.of(answer.json(), answer.where, PipelineError)
        try:
            # The answers of some requests have no body.
            found = answer.json() or {}
        except PipelineError as error:
            raise NoAnswerError(error.where, error.what, error.then) from error
        return Document.of(found, answer.where, NoAnswerError)


def once(make: Callable[[], _T], look: Callable[[], _T | None]) -> _T:
    """Make something once, although the answer may be lost: `look` tells whether it is there.

    Raises NoAnswerError where it is not there after a second attempt.
    """
    for attempts_left in (1, 0):
        try:
            return make()
        except NoAnswerError:
            if found := look():
                return found
            if not attempts_left:
                raise
    raise AssertionError  # the last attempt returns or raises


def connect(http: Http, access: Access, warn: Callable[[str], None]) -> Octopus:
    """Return the space that `access` names; the server's default one when it names none.

    `warn` is told when the key goes to another machine unencrypted. Raises PipelineError where
    address or key are not set, where the server does not know the space, is too old, or is no
    Octopus.
    """
    access.check()
    where = f"Octopus at {without_user(access.base)}"
    if host := plain_http_host(access.url):
        warn(f"{host}: the Octopus API key or token travels unencrypted; use https in OCTOPUS_URL")
    root = Octopus(http, access, "", "", "").get("")
    version = root.text("Version")
    if not version:
        raise PipelineError(
            where,
            "this is not an Octopus server: its /api has no version",
            "Correct OCTOPUS_URL; a path in front of /api belongs to it.",
        )
    if not _is_since(version, _OLDEST):
        raise PipelineError(
            where,
            f"this server is version {version}, from before there were spaces",
            f"{'.'.join(map(str, _OLDEST))} is the oldest version that is supported: update it.",
        )
    spaces = list(Octopus(http, access, version, "", "").all("spaces"))
    for space in spaces:
        is_it = space.text("Name").casefold() == access.space.casefold()
        if is_it if access.space else space.flag("IsDefault"):
            return Octopus(http, access, version, space.identity(), space.text("Name"))
    raise PipelineError(
        where,
        f"there is no space {access.space!r}" if access.space else "there is no default space",
        f"The API key sees {', '.join(space.text('Name') for space in spaces) or 'none'}. Set "
        "OCTOPUS_SPACE, or space in pyproject.toml [tool.pipeline.octopus].",
    )


def _is_since(version: str, first: tuple[int, ...]) -> bool:
    numbers = tuple(int(part) for part in re.findall(r"[0-9]{1,9}", version)[:3])
    return version.startswith(_DEVELOPMENT) or numbers >= first


def _excerpt(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]} ..."


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _small(name: str) -> str:
    return name[:1].lower() + name[1:]
