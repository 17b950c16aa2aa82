"""Provenance: an in-toto statement about the files of a package, and how they were built.

The statement is in-toto Statement v1 with a SLSA provenance v1 predicate. It holds no fact about
the machine that built it, so the same commit gives the same statement.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..archive.zipwriter import Raw, plain
from ..errors import PipelineError
from ..values.manifest import Dependency, Manifest
from .lock import normal

__all__ = [
    "BUILDER",
    "BUILD_TYPE",
    "LIBRARY",
    "PREDICATE_TYPE",
    "STATEMENT_NAME",
    "STATEMENT_TYPE",
    "Origin",
    "encoded",
    "library_digest",
    "make_predicate",
    "make_statement",
    "package_url",
    "plain_sha256",
]

STATEMENT_NAME = "provenance.json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
# What the two names stand for is described in the template's docs/provenance.md.
BUILD_TYPE = "urn:copier-lambda:build:v1"
BUILDER = "urn:copier-lambda:pipeline:v1"
LIBRARY = "scripts/MANIFEST"


@dataclass(frozen=True)
class Origin:
    """What a package was made from.

    `library` is the SHA-256 in hex of the list of the pipeline's own files; `wheels` has the
    tags of each wheel that was installed, by normalised name.
    """

    manifest: Manifest
    library: str
    wheels: Mapping[str, tuple[str, ...]]


def make_statement(digests: Mapping[str, str], predicate: Mapping[str, Any]) -> dict[str, Any]:
    """Return a statement about files: `digests` has the SHA-256 in hex of each by its name."""
    return {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": name, "digest": {"sha256": digest}} for name, digest in sorted(digests.items())
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": dict(predicate),
    }


def make_predicate(origin: Origin) -> dict[str, Any]:
    """Return the SLSA predicate: what was asked for, what went in, and what built it."""
    manifest = origin.manifest
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "packageId": manifest.package_id,
                "version": manifest.version,
                "runtime": manifest.function.runtime,
                "architecture": manifest.function.architecture,
            },
            "resolvedDependencies": [
                *_source(manifest),
                {"name": LIBRARY, "digest": {"sha256": origin.library}},
                *(_resolved(item, origin.wheels) for item in manifest.dependencies),
            ],
        },
        "runDetails": {
            "builder": {
                "id": BUILDER,
                "version": {tool.name: tool.version for tool in manifest.tools},
            },
        },
    }


def encoded(document: Mapping[str, Any]) -> bytes:
    """Return a document as sorted, indented JSON with a final newline."""
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)
    return text.encode() + b"\n"


def library_digest(root: Path) -> str:
    """Return the SHA-256 of the list of the pipeline's files in a repository, with LF line ends."""
    try:
        data = (root / LIBRARY).read_bytes().replace(b"\r\n", b"\n")
    except OSError as error:
        raise PipelineError(
            LIBRARY, f"cannot be read: {error.strerror}", "Run `python3 tasks.py doctor --fix`."
        ) from error
    return hashlib.sha256(data).hexdigest()


def package_url(item: Dependency) -> str:
    """Return the purl of a package from an index."""
    return f"pkg:pypi/{normal(item.name)}@{quote(item.version, safe='')}"


def plain_sha256(raw: Raw) -> str:
    """Return the SHA-256 in hex of a payload's plain bytes."""
    return raw.sha256 or hashlib.sha256(plain(raw)).hexdigest()


def _source(manifest: Manifest) -> list[dict[str, Any]]:
    source = manifest.source
    if source.commit is None:
        return []
    facts = {"branch": source.branch, "dirty": source.dirty}
    known = {name: fact for name, fact in facts.items() if fact is not None}
    return [{"name": "source", "digest": {"gitCommit": source.commit}, "annotations": known}]


def _resolved(item: Dependency, wheels: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    described: dict[str, Any] = {"uri": package_url(item)}
    accepted = [digest.removeprefix("sha256:") for digest in item.hashes]
    facts: dict[str, Any] = {"wheelTags": list(wheels.get(normal(item.name), ()))}
    if len(accepted) == 1:
        described["digest"] = {"sha256": accepted[0]}
    else:
        # A digest here would claim that this file was installed. uv does not say which it took,
        # and this lock does not say which of its hashes is that of a wheel with these tags.
        facts["acceptedSha256"] = accepted
    return {**described, "annotations": {name: fact for name, fact in facts.items() if fact}}
