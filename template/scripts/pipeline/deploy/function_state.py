"""A Lambda function as AWS describes it, and as a package wants it to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..core.manifest import Manifest


@dataclass(frozen=True)
class Observed:
    """What Lambda says of a function at one moment.

    `rest` holds the settings that the stack owns (memory, timeout, role ...) as JSON texts:
    they are compared, never written. `environment` may hold secrets of others. `tags` is None
    where they may not be read. `revision_id` is empty where the service gives none.
    """

    name: str
    arn: str
    runtime: str
    handler: str
    description: str
    architecture: str
    code_sha256: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    tags: Mapping[str, str] | None = field(default_factory=dict)
    rest: Mapping[str, str] = field(default_factory=dict)
    revision_id: str = ""
    modified: str = ""
    state: str = "Active"
    state_reason: str = ""
    update: str = "Successful"
    update_reason: str = ""


@dataclass(frozen=True)
class Wanted:
    """What a package sets on a function. `templates` are the environment's values as written."""

    runtime: str
    handler: str
    description: str
    architecture: str
    code_sha256: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    templates: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_manifest(
        cls, manifest: Manifest, environment: Mapping[str, str], release: str
    ) -> Wanted:
        """Take the manifest's facts; `environment` is its table with the variables filled in."""
        function = manifest.function
        commit = manifest.source.commit or "unknown"
        return cls(
            runtime=function.runtime,
            handler=function.handler,
            description=function.description,
            architecture=function.architecture,
            code_sha256=manifest.function_zip.code_sha256,
            environment=environment,
            templates=function.environment,
            tags={
                **function.tags,
                "pipeline:package": f"{manifest.package_id} {manifest.version}",
                "pipeline:release": release,
                "pipeline:commit": f"{commit}-dirty" if manifest.source.dirty else commit,
            },
        )
