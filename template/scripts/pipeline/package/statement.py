"""Provenance: an in-toto statement about the files of a package, and how they were built.

The statement is in-toto Statement v1 with a SLSA provenance v1 predicate. It holds no fact about
the machine that built it, so the same commit gives the same statement.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.errors import PipelineError
from ..core.manifest import Dependency, Manifest, json_bytes
from ..core.strict_json import parse_json
from ..project.tables import normal
from ..zip.reader import read_member
from .contents import Package
from .library import read_lf
from .nupkg import SIGNATURE, package_parts
from .sbom import PYTHON, package_url

STATEMENT_NAME = "provenance.json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
# What the two names stand for is described in scripts/docs/provenance.md.
BUILD_TYPE = "urn:copier-lambda:build:v1"
BUILDER = "urn:copier-lambda:pipeline:v1"
LIBRARY = "scripts/MANIFEST"


def make_statement(
    manifest: Manifest,
    digests: Mapping[str, str],
    *,
    library: str,
    wheels: Mapping[str, tuple[str, ...]],
    ecosystem: str = PYTHON,
) -> bytes:
    """Return what was asked for, what went in, and what built it, as JSON.

    `digests` has the SHA-256 in hex of each file by its name, `library` is that of the list of the
    pipeline's own files; `wheels` has the tags of each wheel that was installed, by normalised
    name. Dependencies are packages of `ecosystem`.
    """
    definition = {
        "buildType": BUILD_TYPE,
        "externalParameters": {
            "packageId": manifest.package_id,
            "version": manifest.version,
            "runtime": manifest.function.runtime,
            "architecture": manifest.function.architecture,
        },
        "resolvedDependencies": [
            *_source(manifest),
            {"name": LIBRARY, "digest": {"sha256": library}},
            *(
                _resolved(item, wheels.get(normal(item.name), ()), ecosystem)
                for item in manifest.dependencies
            ),
        ],
    }
    tools = {tool.name: tool.version for tool in manifest.tools}
    return json_bytes(
        {
            "_type": STATEMENT_TYPE,
            "subject": [
                {"name": name, "digest": {"sha256": digest}}
                for name, digest in sorted(digests.items())
            ],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "buildDefinition": definition,
                "runDetails": {"builder": {"id": BUILDER, "version": tools}},
            },
        }
    )


def library_digest(root: Path) -> str:
    """Return the SHA-256 of the list of the pipeline's files in a repository, with LF line ends."""
    return hashlib.sha256(read_lf(root / LIBRARY)).hexdigest()


def mismatches(package: Package) -> list[str] | None:
    """Say where a package's statement does not fit its bytes, a sentence each.

    None for a package without one. A file too many or too few counts, and so does a part that the
    package format would not add; a feed's signature does not.
    """
    listing, statement = package.listing, package.data(STATEMENT_NAME)
    if statement is None:
        return None
    named = _subjects(statement)
    if named is None:
        return [f"{STATEMENT_NAME} is not an in-toto statement"]
    wanted = package_parts(listing.nuspec, listing.files).keys()
    parts = {entry.name: entry for entry in listing.parts.values()}
    held = {**listing.files, **{name: entry for name, entry in parts.items() if name in named}}
    del held[STATEMENT_NAME]
    held.pop(SIGNATURE, None)
    wrong = [f"{name} is not in the package" for name in named.keys() - held.keys()]
    wrong += [f"{name} is not in the package" for name in wanted - parts.keys()]
    wrong += [f"{name} does not belong in a package made here" for name in parts.keys() - wanted]
    wrong += [f"{name} is not named in {STATEMENT_NAME}" for name in held.keys() - named.keys()]
    for name, entry in held.items():
        data = read_member(listing.archive, entry)
        if name in named and hashlib.sha256(data).hexdigest() != named[name]:
            wrong.append(f"{name} is not as {STATEMENT_NAME} says")
    return sorted(wrong)


def _subjects(statement: bytes) -> dict[str, str] | None:
    """Return the SHA-256 in hex of each file that an in-toto statement names.

    None for anything else, and for a statement that names a file twice.
    """
    try:
        document = parse_json(statement, where=STATEMENT_NAME)
        if document["_type"] != STATEMENT_TYPE:
            return None
        named = [(item["name"], item["digest"]["sha256"]) for item in document["subject"]]
    except (PipelineError, KeyError, TypeError):
        return None
    texts = all(isinstance(text, str) for pair in named for text in pair)
    return dict(named) if texts and len({name for name, _ in named}) == len(named) else None


def _source(manifest: Manifest) -> list[dict[str, Any]]:
    source = manifest.source
    if source.commit is None:
        return []
    facts = {"branch": source.branch, "dirty": source.dirty}
    known = {name: fact for name, fact in facts.items() if fact is not None}
    return [{"name": "source", "digest": {"gitCommit": source.commit}, "annotations": known}]


def _resolved(item: Dependency, tags: tuple[str, ...], ecosystem: str) -> dict[str, Any]:
    described: dict[str, Any] = {"uri": package_url(ecosystem, item)}
    facts: dict[str, Any] = {"wheelTags": [*tags]}
    if len(item.hashes) == 1:
        described["digest"] = dict(digest.split(":") for digest in item.hashes)
    else:
        # A digest here would claim that this file was installed. uv does not say which it took,
        # and this lock does not say which of its hashes is that of a wheel with these tags.
        facts["acceptedSha256"] = [digest.removeprefix("sha256:") for digest in item.hashes]
    return {**described, "annotations": {name: fact for name, fact in facts.items() if fact}}
