"""Signed attestations: in-toto statements in DSSE envelopes, one a line beside the package.

The envelope and what is signed are those of DSSE v1.0 (protocol.md, envelope.md); the file's name
and the rule to ignore what one does not know are in-toto's (bundle.md).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass

__all__ = [
    "BUNDLE_SUFFIX",
    "PAYLOAD_TYPE",
    "Envelope",
    "Signer",
    "Verifier",
    "read_bundle",
    "signed_bytes",
]

BUNDLE_SUFFIX = ".intoto.jsonl"
PAYLOAD_TYPE = "application/vnd.in-toto+json"


@dataclass(frozen=True)
class Envelope:
    """A statement's bytes and the signatures that are said to be over them."""

    payload: bytes
    signatures: tuple[bytes, ...]


@dataclass(frozen=True)
class Signer:
    """A private key: the SHA-256 in hex of its public half's DER form, and what signs bytes."""

    key_id: str
    signature_of: Callable[[bytes], bytes]

    def sign(self, payload: bytes) -> bytes:
        """Return one line of a bundle: the payload in an envelope with this key's signature."""
        signature = base64.b64encode(self.signature_of(signed_bytes(payload))).decode()
        document = {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": self.key_id, "sig": signature}],
        }
        return json.dumps(document, sort_keys=True).encode() + b"\n"


@dataclass(frozen=True)
class Verifier:
    """A public key: its name as in Signer, and what tells whether a signature is over bytes."""

    key_id: str
    is_signature: Callable[[bytes, bytes], bool]

    def accepts(self, envelope: Envelope) -> bool:
        """Tell whether one of the envelope's signatures is this key's."""
        data = signed_bytes(envelope.payload)
        return any(self.is_signature(signature, data) for signature in envelope.signatures)


def signed_bytes(payload: bytes, kind: str = PAYLOAD_TYPE) -> bytes:
    """Return what is signed: DSSE's pre-authentication encoding of a payload and its type."""
    name = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def read_bundle(data: bytes) -> tuple[Envelope, ...]:
    """Return the envelopes of a bundle that hold in-toto statements; other lines do not count."""
    found = (_envelope(line) for line in data.splitlines())
    return tuple(envelope for envelope in found if envelope)


def _envelope(line: bytes) -> Envelope | None:
    try:
        document = json.loads(line)
        if document["payloadType"] != PAYLOAD_TYPE:
            return None
        signatures = tuple(
            base64.b64decode(item["sig"], validate=True) for item in document["signatures"]
        )
        return Envelope(base64.b64decode(document["payload"], validate=True), signatures)
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
