"""What the documents in a package, and beside it, prove about its bytes."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

from ..archive.nupkg import parts_around
from ..archive.package import Package, PackageListing
from ..archive.zipreader import Archive, read_member
from ..engines.attestation import Verifier
from ..engines.client import CLIENT_FOLDER
from ..engines.lock import normal
from ..engines.provenance import (
    LIBRARY,
    PREDICATE_TYPE,
    STATEMENT_NAME,
    STATEMENT_TYPE,
    Origin,
    differences,
    make_predicate,
    parsed,
    subjects,
)
from ..engines.sbom import CLIENT, PART, SBOM_NAME, distributions
from ..values.manifest import MANIFEST_NAME, Dependency, Manifest, ZipFacts
from ..values.names import FUNCTION_ZIP
from .bundle import Finding, check_bundle
from .picture import readable, rows

__all__ = ["Proof", "prove"]


@dataclass(frozen=True)
class Proof:
    """The outcome of all checks: a package without mismatches has its provenance verified."""

    findings: tuple[Finding, ...]

    @property
    def mismatches(self) -> list[str]:
        """Everything that does not fit, one sentence each."""
        return [text for finding in self.findings for text in finding.mismatches]

    def lines(self) -> list[str]:
        """Return the picture for people; mismatches are told as an error."""
        proven = [finding.proven for finding in self.findings if finding.holds]
        unproven = [finding.unproven for finding in self.findings if finding.unproven]
        named = [("proven", text) for text in proven] + [("not proven", text) for text in unproven]
        return [line for name, text in named for line in rows(name, readable(text).split())]

    def document(self) -> dict[str, Any]:
        """Return the picture for programs."""
        return {
            "verified": not self.mismatches,
            "proven": [finding.proven for finding in self.findings if finding.holds],
            "not_proven": [finding.unproven for finding in self.findings if finding.unproven],
            "mismatches": self.mismatches,
        }


def prove(contents: Package, verifier: Verifier | None) -> Proof:
    """Check statement, manifest, bill of materials and attestation against a package's bytes.

    `verifier` is the key that the attestation must be signed with; without one its signature is
    not checked. Everything that does not fit is found, not only the first.
    """
    statement = parsed(contents.data(STATEMENT_NAME))
    findings = [_files(contents, statement)]
    if contents.manifest is None:
        why = contents.note or f"there is no {MANIFEST_NAME} in the package"
        findings.append(Finding(mismatches=(why,)))
    else:
        findings += [
            _manifest(contents, contents.manifest),
            _bill(contents, contents.manifest),
            _predicate(contents, contents.manifest, statement),
        ]
    predicate = statement.get("predicate") if isinstance(statement, dict) else None
    return Proof((*findings, check_bundle(contents, predicate, verifier)))


def _files(contents: Package, statement: Any) -> Finding:
    if STATEMENT_NAME not in contents.listing.files:
        return Finding(mismatches=(f"there is no {STATEMENT_NAME} in the package",))
    named = subjects(statement)
    if named is None:
        return Finding(mismatches=(f"{STATEMENT_NAME} is not an in-toto statement",))
    listing, wrong = contents.listing, []
    named_parts = {name: entry for name, entry in listing.parts.items() if name in named}
    held = {**listing.files, **named_parts}
    for name, entry in held.items():
        if name == STATEMENT_NAME:
            continue
        if name not in named:
            wrong.append(f"{name} is in the package, {STATEMENT_NAME} does not name it")
            continue
        digest = hashlib.sha256(read_member(listing.archive, entry)).hexdigest()
        if digest != named[name]:
            wrong.append(f"{name} has sha256 {digest}, {STATEMENT_NAME} says {named[name]}")
    wrong += [
        f"{STATEMENT_NAME} names {name}, which is not in the package"
        for name in named
        if name not in held
    ]
    wrong += _parts(listing)
    proven = f"{len(named)} files are those that the statement names, and there are no others"
    unproven = "the nuspec's texts and dependencies: the statement does not name it"
    told = f"{listing.nuspec.id}.nuspec" in named
    return Finding(proven, tuple(wrong), "" if told else unproven)


def _parts(listing: PackageListing) -> list[str]:
    """Say what is wrong with the parts that the package format adds; files and nuspec give them."""
    wanted = parts_around(listing.nuspec, listing.files)
    nuspec, *_ = wanted
    told = {entry.name: entry for entry in listing.parts.values()}
    wrong = [f"{name} is in no package of ours" for name in sorted(told.keys() - wanted.keys())]
    wrong += [f"{name} is not in the package" for name in wanted if name not in told]
    return wrong + [
        f"{name} is not what nuspec and files give"
        for name in sorted(told.keys() & wanted.keys() - {nuspec})
        if told[name].size != len(wanted[name])
        or read_member(listing.archive, told[name]) != wanted[name]
    ]


def _manifest(contents: Package, manifest: Manifest) -> Finding:
    nuspec = contents.listing.nuspec
    known = {item.name: dict(item.attributes) for item in nuspec.metadata}
    commit = known.get("repository", {}).get("commit", "")
    told = {"id": nuspec.id, "version": nuspec.version, "commit": commit}
    wanted = {
        "id": manifest.package_id,
        "version": manifest.version,
        "commit": manifest.source.commit or "",
    }
    wrong = [f"the nuspec's {text}" for text in differences(told, wanted, "")]
    if contents.function is None:
        wrong.append(f"there is no {FUNCTION_ZIP} in the package")
    else:
        claims = differences(vars(manifest.function_zip), _facts(contents.function), FUNCTION_ZIP)
        wrong += [f"{MANIFEST_NAME}: {text}" for text in claims]
    proven = "the manifest fits nuspec and function.zip: CodeSha256, sizes, number of files"
    return Finding(proven, tuple(wrong))


def _facts(function: Archive) -> dict[str, Any]:
    data = function.source if isinstance(function.source, bytes) else function.source.read_bytes()
    digest = hashlib.sha256(data).digest()
    facts = ZipFacts(
        sha256=digest.hex(),
        code_sha256=base64.b64encode(digest).decode(),
        size=len(data),
        unzipped_size=sum(entry.size for entry in function.entries),
        files=len(function.entries),
    )
    return vars(facts)


def _bill(contents: Package, manifest: Manifest) -> Finding:
    bill = parsed(contents.data(SBOM_NAME))
    if bill is None:
        return Finding(mismatches=(f"there is no readable {SBOM_NAME} in the package",))
    try:
        root = bill["metadata"]["component"]
        told = (root["name"], root["version"])
        listed = {_named(item): item for item in bill.get("components", [])}
        versions = {name: str(item["version"]) for name, item in listed.items()}
        hashes = {
            name: {f"sha256:{part['content']}" for part in item.get("hashes", [])}
            for name, item in listed.items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        what = f"{SBOM_NAME} is not a CycloneDX document of ours: {error!r}"
        return Finding(mismatches=(what,))
    wrong = []
    if told != (manifest.package_id, manifest.version):
        wrong.append(f"{SBOM_NAME} is about {told[0]} {told[1]}")
    locked = _components(contents, manifest)
    expected = {name: item.version for name, item in locked.items()}
    wrong += [f"{SBOM_NAME}: {text}" for text in differences(versions, expected, "")]
    wrong += [
        f"{SBOM_NAME}: {name} has a hash that the lock does not accept"
        for name, found in hashes.items()
        if name in locked and not found <= set(locked[name].hashes)
    ]
    needs = len(manifest.dependencies)
    proven = f"the SBOM lists the manifest's {needs} dependencies"
    if len(locked) > needs:
        proven += f" and the {len(locked) - needs} packages of the AWS client"
    return Finding(proven, tuple(wrong))


def _named(component: Any) -> str:
    values = [part["value"] for part in component.get("properties", []) if part["name"] == PART]
    kind = "client" if values == [CLIENT] else "dependency"
    return f"{kind} {normal(component['name'])}"


def _components(contents: Package, manifest: Manifest) -> dict[str, Dependency]:
    """Return what the SBOM must list: the function's dependencies, and what lies in the client."""
    tools = {normal(tool.name): tool.hashes for tool in manifest.tools}
    client = distributions(contents.listing.archive, CLIENT_FOLDER)
    return {
        **{f"dependency {normal(item.name)}": item for item in manifest.dependencies},
        **{
            f"client {name}": Dependency(name, found.version, tools.get(name, ()))
            for name, found in client.items()
        },
    }


def _predicate(contents: Package, manifest: Manifest, statement: Any) -> Finding:
    if subjects(statement) is None:
        return Finding()
    materials = _materials(statement)
    library = next((item for item in materials if item.get("name") == LIBRARY), {})
    digest = library.get("digest")
    installed = distributions(contents.function) if contents.function else {}
    wheels = {name: found.tags for name, found in installed.items()}
    claimed = str(digest.get("sha256", "")) if isinstance(digest, dict) else ""
    wanted = {
        "_type": STATEMENT_TYPE,
        "predicateType": PREDICATE_TYPE,
        "predicate": make_predicate(Origin(manifest, claimed, wheels)),
    }
    told = {name: statement.get(name) for name in wanted}
    wrong = tuple(f"{STATEMENT_NAME}: {text}" for text in differences(told, wanted, ""))
    source = manifest.source
    where = f"commit {source.commit[:12]}" if source.commit else "which commit"
    unproven = f"that {where} gives these bytes; `verify` rebuilds it"
    if source.dirty or source.commit is None or source.dirty is None:
        unproven = "what it was built from: the work tree was not known to be clean"
    proven = "the statement's commit, parameters and dependencies are the manifest's"
    return Finding(proven, wrong, unproven)


def _materials(statement: Any) -> list[dict[str, Any]]:
    try:
        found = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    except (KeyError, TypeError):
        return []
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
