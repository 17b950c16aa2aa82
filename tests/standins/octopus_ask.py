"""A request to the stand-in Octopus server, and what every collection does the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.standins.octopus_state import Document, Refusal, Space, State, folded

# What the executions API calls the space in its bodies.
SPACE = ("SpaceId", "SpaceIdOrName", "spaceName")
# An id as a part of a path.
ID = "/([A-Za-z]+-[A-Za-z0-9-]+)"


class Unknown(AssertionError):  # noqa: N818 - what the request is
    """A request that no client has shown to the author of this stand-in: the test must fail."""


class Body:
    """A JSON document with property names in any case.

    Clients send both casings: go-octopusdeploy pkg/releases/create_release_v1.go camelCase,
    api-client.ts src/features/projects/releases/createReleaseCommandV1.ts PascalCase.
    """

    def __init__(self, document: object) -> None:
        if not isinstance(document, dict):
            raise Refusal(400, "The request body is not a JSON document.")
        self.fields = {str(key).lower(): _capital(value) for key, value in document.items()}

    def __call__(self, name: str, default: Any = None) -> Any:
        """Return a property, or `default` where it is absent or null."""
        value = self.fields.get(name.lower())
        return default if value is None else value

    def need(self, *names: str) -> None:
        """Refuse a document without these."""
        missing = [name for name in names if self(name) in (None, "", [])]
        if missing:
            raise Refusal(400, *(f"'{name}' must not be empty." for name in missing))

    def only(self, *names: str) -> None:
        """Fail on properties that are in no client's source."""
        strange = set(self.fields) - {name.lower() for name in names}
        if strange:
            what = f"unknown properties {sorted(strange)}"
            raise Unknown(what)

    def document(self, base: Mapping[str, Any], *names: str) -> Document:
        """Return `base` with the named properties set from this document, in Octopus's spelling."""
        return {**base, **{name: self(name, base.get(name)) for name in names}}


def _capital(value: Any) -> Any:
    """Return a value with the property names inside it in Octopus's own casing."""
    if isinstance(value, dict):
        return {key[:1].upper() + key[1:]: _capital(inner) for key, inner in value.items()}
    return [_capital(inner) for inner in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class Ask:
    """A request for one space (the default one where the URL names none)."""

    state: State
    space: Space
    query: Mapping[str, str]
    content: bytes
    type: str
    document: object = None

    @property
    def body(self) -> Body:
        """The JSON document that was sent."""
        if "application/json" not in self.type:
            raise Refusal(415, f"'{self.type}' is not a supported content type.")
        return Body(self.document)


Answer = tuple[int, Any]


@dataclass(frozen=True)
class Route:
    """What answers a method and a path below `/api/{space}`; `query` are the parameters known.

    The path is a regular expression whose groups are the handler's further arguments.
    """

    method: str
    path: str
    handler: Callable[..., Answer]
    query: str = ""


def body_of(ask: Ask) -> Body:
    """Return the body of a request."""
    return ask.body


def ids(ask: Ask, name: str = "ids") -> set[str]:
    """Return a comma-separated parameter; absent and empty are the same: all there are.

    api-client.ts src/features/serverTasks/serverTaskWaiter.ts warns of exactly that.
    """
    return {part for part in ask.query.get(name, "").split(",") if part}


def page(ask: Ask, items: Iterable[Document]) -> Answer:
    """Return a page of a collection, narrowed by ids, name and partialName.

    Shape as in go-octopusdeploy pkg/resources/resources.go: 30 items unless `take` says more.
    """
    wanted, partial = ids(ask), folded(ask.query.get("partialName", ""))
    name = folded(ask.query.get("name", ""))
    found = [
        item
        for item in items
        if (not wanted or item["Id"] in wanted)
        and partial in folded(item.get("Name", ""))
        and (not name or name == folded(item.get("Name", "")))
    ]
    skip, take = int(ask.query.get("skip", "0")), int(ask.query.get("take", "30"))
    return 200, {
        "ItemType": "",
        "TotalResults": len(found),
        "ItemsPerPage": take,
        "NumberOfPages": max(1, -(-len(found) // take)),
        "LastPageNumber": max(0, -(-len(found) // take) - 1),
        "Items": found[skip : skip + take],
        "Links": {},
    }
