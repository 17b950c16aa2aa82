"""Checking the attestations that lie beside a package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..archive.package import Package
from ..engines.attestation import Envelope, Verifier, read_bundle
from ..engines.provenance import (
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    differences,
    parsed,
    subjects,
)
from .sign import bundle_of

__all__ = ["Finding", "check_bundle"]

_LARGEST = 16 << 20
_SHORT = 16  # of a key's name, for people


@dataclass(frozen=True)
class Finding:
    """What a check proved, what did not fit, and what it cannot prove; unused parts are empty."""

    proven: str = ""
    mismatches: tuple[str, ...] = ()
    unproven: str = ""

    @property
    def holds(self) -> bool:
        """Whether something was proven."""
        return bool(self.proven) and not self.mismatches


def check_bundle(contents: Package, predicate: Any, verifier: Verifier | None) -> Finding:
    """Check that one attestation beside the package is about it and repeats its `predicate`.

    With a verifier only what its key has signed counts; without one any signature does, and
    the finding says that it proves nothing.
    """
    path = bundle_of(contents.path)
    data = _bytes(path)
    if data is None:
        if verifier:
            return Finding(mismatches=(f"there is no {path.name} beside the package",))
        return Finding(unproven="who built it: there is no attestation beside the package")
    envelopes = read_bundle(data)
    if verifier:
        envelopes = tuple(envelope for envelope in envelopes if verifier.accepts(envelope))
        if not envelopes:
            what = f"{path.name} holds no signature by the key {verifier.key_id[:_SHORT]}"
            return Finding(mismatches=(what,))
    wrong = _claims(contents, predicate, envelopes)
    if wrong:
        return Finding(mismatches=tuple(f"{path.name}: {text}" for text in wrong))
    if verifier:
        return Finding(f"key {verifier.key_id[:_SHORT]} has signed these bytes and this provenance")
    return Finding(
        "the attestation names these bytes and this provenance",
        unproven="who signed the attestation; give the public key with --key",
    )


def _claims(contents: Package, predicate: Any, envelopes: tuple[Envelope, ...]) -> list[str]:
    """Say what is wrong with the attestation that comes nearest; nothing when one is right."""
    nearest = ["there is no provenance of a package in it"]
    for envelope in envelopes:
        statement = parsed(envelope.payload)
        named = subjects(statement)
        kinds = {"_type": STATEMENT_TYPE, "predicateType": PREDICATE_TYPE}
        if named is None or any(statement.get(name) != kind for name, kind in kinds.items()):
            continue
        if contents.sha256 not in named.values():
            told = ", ".join(f"{name} with sha256 {digest}" for name, digest in named.items())
            nearest = [f"it is about {told}; this package has {contents.sha256}"]
            continue
        wrong = list(differences(statement.get("predicate"), predicate, "predicate"))
        if not wrong:
            return []
        nearest = wrong
    return nearest


def _bytes(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST)
    except OSError:
        return None
