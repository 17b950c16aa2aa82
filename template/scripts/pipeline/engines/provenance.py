"""Provenance: an in-toto statement about the files of a package, and how they were built.

The statement is in-toto Statement v1 with a SLSA provenance v1 predicate. It holds no fact about
the machine that built it, so the same commit gives the same statement. What a document from
elsewhere claims is read here too, and compared with what is true.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..archive.zipwriter import Raw, plain
from ..errors import PipelineError
from ..strict_json import parse_json
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
    "differences",
    "library_digest",
    "make_predicate",
    "make_statement",
    "parsed",
    "plain_sha256",
    "subjects",
]

STATEMENT_NAME = "provenance.json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
# What the two names stand for is described in the template's docs/provenance.md.
BUILD_TYPE = "urn:copier-lambda:build:v1"
BUILDER = "urn:copier-lambda:pipeline:v1"
LIBRARY = "scripts/MANIFEST"
_LONGEST = 100  # characters of a value that is not what it should be
_NOTHING = object()


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


def library_digest(root: Path) -> str:
    """Return the SHA-256 of the list of the pipeline's files in a repository, with LF line ends."""
    try:
        data = (root / LIBRARY).read_bytes().replace(b"\r\n", b"\n")
    except OSError as error:
        raise PipelineError(
            LIBRARY, f"cannot be read: {error.strerror}", "Restore it: git checkout scripts"
        ) from error
    return hashlib.sha256(data).hexdigest()


def plain_sha256(raw: Raw) -> str:
    """Return the SHA-256 in hex of a payload's plain bytes."""
    return raw.sha256 or hashlib.sha256(plain(raw)).hexdigest()


def parsed(data: bytes | None) -> Any:
    """Return a JSON document, or None where there is none that can be read."""
    try:
        return None if data is None else parse_json(data, "")
    except PipelineError:
        return None


def subjects(statement: Any) -> dict[str, str] | None:
    """Return the SHA-256 in hex of each file that an in-toto statement names.

    None for anything else, and for a statement that names a file twice.
    """
    try:
        named = [(item["name"], item["digest"]["sha256"]) for item in statement["subject"]]
    except (KeyError, TypeError):
        return None
    texts = all(isinstance(text, str) for pair in named for text in pair)
    return dict(named) if texts and len({name for name, _ in named}) == len(named) else None


def differences(told: Any, wanted: Any, path: str) -> Iterator[str]:
    """Name every place where a document differs from what it should say."""
    if isinstance(told, Mapping) and isinstance(wanted, Mapping):
        for key in sorted({*told, *wanted}):
            inner = f"{path} {key}".strip()
            yield from differences(told.get(key, _NOTHING), wanted.get(key, _NOTHING), inner)
    elif isinstance(told, list) and isinstance(wanted, list) and len(told) == len(wanted):
        for number, (left, right) in enumerate(zip(told, wanted, strict=True), 1):
            yield from differences(left, right, f"{path} {number}".strip())
    # 1 and True are equal in Python, not in JSON.
    elif type(told) is not type(wanted) or told != wanted:
        yield f"{path} is {_short(told)}, not {_short(wanted)}"


def _source(manifest: Manifest) -> list[dict[str, Any]]:
    source = manifest.source
    if source.commit is None:
        return []
    facts = {"branch": source.branch, "dirty": source.dirty}
    known = {name: fact for name, fact in facts.items() if fact is not None}
    return [{"name": "source", "digest": {"gitCommit": source.commit}, "annotations": known}]


def _resolved(item: Dependency, wheels: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "uri": f"pkg:pypi/{normal(item.name)}@{quote(item.version, safe='')}"
    }
    accepted = [digest.removeprefix("sha256:") for digest in item.hashes]
    facts: dict[str, Any] = {"wheelTags": list(wheels.get(normal(item.name), ()))}
    if len(accepted) == 1:
        described["digest"] = {"sha256": accepted[0]}
    else:
        # A digest here would claim that this file was installed. uv does not say which it took,
        # and this lock does not say which of its hashes is that of a wheel with these tags.
        facts["acceptedSha256"] = accepted
    return {**described, "annotations": {name: fact for name, fact in facts.items() if fact}}


def _short(value: Any) -> str:
    if value is _NOTHING:
        return "missing"
    text = json.dumps(value, sort_keys=True) if not isinstance(value, str) else value
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
