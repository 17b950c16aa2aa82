"""A NuGet v3 feed: service index, push, and the flat container that packages are read from."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from tests.standins.loopback import Answer, Asked, form_file
from tests.standins.nuget_v2 import KEY, identity

_FILE = re.compile(r"/v3/flat/([^/]+)/([^/]+)/\1\.\2\.nupkg\Z")


@dataclass
class NugetV3Feed:
    """The feed whose index is `/v3/index.json`; without `readable` it has no flat container.

    `types` are those of pushing and reading in the index; `push_at` is its address for pushing,
    its own by default. `redirects` is where files lie with some hosts: elsewhere, behind one.
    """

    readable: bool = True
    redirects: bool = False
    push_at: str = ""
    types: tuple[str, str] = ("PackagePublish/2.0.0", "PackageBaseAddress/3.0.0")
    packages: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def __call__(self, asked: Asked) -> Answer | None:
        """Answer a request."""
        if asked.method == "PUT" and asked.path == "/v3/push/":
            return self._put(asked)
        if asked.method == "GET" and asked.path == "/v3/index.json":
            return Answer(200, json.dumps(self._index(asked)).encode())
        path = asked.path.removeprefix("/elsewhere")
        if asked.method == "GET" and (found := _FILE.match(path)):
            # NuGet's documentation of the package content resource: lower-case id, normalised
            # lower-case version, 404 where there is none.
            key = (found[1], found[2])
            if key not in self.packages:
                return Answer(404, b"<?xml?><Error><Code>BlobNotFound</Code></Error>")
            if self.redirects and path == asked.path:
                return Answer(302, b"", {"Location": f"/elsewhere{path}"})
            return Answer(200, self.packages[key])
        return None

    def _index(self, asked: Asked) -> dict[str, object]:
        # NuGet.Protocol ServiceTypes.cs: the types; "@id" and "@type" as in the protocol's docs.
        root = f"http://{asked.headers['host']}/v3"
        resources = [
            {"@id": f"{root}/query", "@type": "SearchQueryService"},
            {"@id": self.push_at or f"{root}/push", "@type": self.types[0]},
        ]
        if self.readable:
            resources.append({"@id": f"{root}/flat/", "@type": self.types[1]})
        return {"version": "3.0.0", "resources": resources}

    def _put(self, asked: Asked) -> Answer:
        # NuGet.Client PackageUpdateResource.cs, as in v2: key header, one part `package`, 409.
        if asked.headers.get("x-nuget-apikey") != KEY:
            return Answer(403, b"The specified API key is invalid.")
        name, file_name, content = form_file(asked)
        assert (name, file_name) == ("package", "package.nupkg")
        id_, version = identity(content)
        key = (id_.lower(), _normal(version).lower())
        if key in self.packages:
            return Answer(409)
        self.packages[key] = content
        return Answer(201)


def _normal(version: str) -> str:
    """NuGet.Versioning: at least three numbers, no leading zeros, no fourth one that is zero."""
    numbers, *tag = version.split("-", 1)
    parts = [str(int(number)) for number in numbers.split(".")]
    while len(parts) < 3:
        parts.append("0")
    if parts[3:] == ["0"]:
        del parts[3]
    return "-".join([".".join(parts), *tag])
