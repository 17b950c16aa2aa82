"""What a deploy found, what it wants, and the plan between them: data that shows no secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from .manifest import Manifest

__all__ = ["CODE", "CONFIGURATION", "TAGS", "Applied", "Change", "Observed", "Plan", "Wanted"]

# The steps of a plan, by the names that people read. They are applied in this order: the tags
# say which version runs, so they come last, when it does run.
CONFIGURATION = "configure"
CODE = "upload"
TAGS = "tag"

_OURS = ("runtime", "handler", "description", "architecture")


@dataclass(frozen=True)
class Observed:
    """What Lambda says of a function at one moment.

    `rest` holds the settings that the stack owns (memory, timeout, role ...) as JSON texts:
    they are compared, never written. `environment` may hold secrets of others.
    `revision_id` is empty where the service gives none.
    """

    name: str
    arn: str
    runtime: str
    handler: str
    description: str
    architecture: str
    code_sha256: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    tags: Mapping[str, str] = field(default_factory=dict)
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


@dataclass(frozen=True)
class Change:
    """One difference: what it is, how it is now, how it is planned. Never an environment value."""

    step: str
    what: str
    now: str
    planned: str

    def __str__(self) -> str:
        return f"{self.what}: {self.now or '(none)'} -> {self.planned or '(none)'}"


@dataclass(frozen=True)
class Plan:
    """What has to be done to a function, and what it was planned on."""

    observed: Observed
    wanted: Wanted
    changes: tuple[Change, ...]

    @classmethod
    def between(cls, observed: Observed, wanted: Wanted) -> Plan:
        """Compare, and note every difference under the step that removes it."""
        changes = [
            Change(CODE if what == "architecture" else CONFIGURATION, what, now, planned)
            for what in _OURS
            if (now := getattr(observed, what)) != (planned := getattr(wanted, what))
        ]
        for key, value in wanted.environment.items():
            if key not in observed.environment or observed.environment[key] != value:
                now = "(another value)" if key in observed.environment else ""
                planned = wanted.templates.get(key, "")
                changes.append(Change(CONFIGURATION, f"environment {key}", now, planned))
        if observed.code_sha256 != wanted.code_sha256:
            changes.append(Change(CODE, "code", observed.code_sha256, wanted.code_sha256))
        for key, value in wanted.tags.items():
            if observed.tags.get(key) != value:
                changes.append(Change(TAGS, f"tag {key}", observed.tags.get(key, ""), value))
        return cls(observed, wanted, tuple(changes))

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps that have something to do, in their order."""
        needed = {change.step for change in self.changes}
        return tuple(step for step in (CONFIGURATION, CODE, TAGS) if step in needed)

    def to_json(self) -> str:
        """Return the plan for machines and for the record, without environment values."""
        document = {
            "function": self.observed.name,
            "arn": self.observed.arn,
            "plannedOn": {
                "revisionId": self.observed.revision_id,
                "codeSha256": self.observed.code_sha256,
                "modified": self.observed.modified,
            },
            "codeSha256": self.wanted.code_sha256,
            "steps": list(self.steps),
            "changes": [
                {"step": c.step, "what": c.what, "now": c.now, "planned": c.planned}
                for c in self.changes
            ],
        }
        return json.dumps(document, indent=2) + "\n"


@dataclass(frozen=True)
class Applied:
    """A deploy's end: the steps that were done, and what the service says now."""

    version: str
    environment: str
    plan: Plan
    function: Observed
    steps: tuple[str, ...]
