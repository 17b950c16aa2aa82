"""A NuGet v3 feed: a service index that names where to push and where to read.

The resources are those of NuGet.Protocol's ServiceTypes.cs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ..core.errors import PipelineError
from ..edge.http import Request
from ..edge.urls import joined, without_user
from ..project.versions import normal_version
from .compare import compare_download
from .feed import Candidate, Found, Progress, State
from .nuget import MOST_OF_AN_INDEX, Source, put_package

# Of each the first one that is there, as NuGet's client chooses.
_PUSH = ("PackagePublish/Versioned", "PackagePublish/2.0.0")
_READ = ("PackageBaseAddress/Versioned", "PackageBaseAddress/3.0.0")


@dataclass(frozen=True)
class NugetV3:
    """A v3 feed; `read` is empty for one that cannot be read without a search."""

    source: Source
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

    @property
    def name(self) -> str:
        """The feed's URL."""
        return without_user(self.source.url)

    def find(self, package: Candidate) -> Found:
        """Download what the feed has, by lower-case id and normalised version, and compare."""
        if not self.read:
            return Found(State.UNKNOWN, f"its service index has no {_READ[-1]} that can be used")
        name, version = package.id.lower(), normal_version(package.version).lower()
        path = f"{quote(name)}/{quote(version)}/{quote(f'{name}.{version}')}.nupkg"
        url = f"{self.read.rstrip('/')}/{path}"
        request = Request("GET", url, self.source.headers(url))
        return compare_download(package, self.source.http, request)

    def send(self, package: Candidate, progress: Progress) -> bool:
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
