"""Signed attestations: in-toto statements in DSSE envelopes, one a line beside the package.

The envelope and what is signed are those of DSSE v1.0 (protocol.md, envelope.md); the file's name
and the rule to ignore what one does not know are in-toto's (bundle.md). Keys are Ed25519 or ECDSA
on P-256 with SHA-256 and DER signatures.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import PipelineError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import (
        EllipticCurvePrivateKey,
        EllipticCurvePublicKey,
    )
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

    PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey
    PublicKey = Ed25519PublicKey | EllipticCurvePublicKey

__all__ = [
    "BUNDLE_SUFFIX",
    "PAYLOAD_TYPE",
    "Envelope",
    "Signer",
    "Verifier",
    "load_signer",
    "load_verifier",
    "read_bundle",
    "signed_bytes",
]

BUNDLE_SUFFIX = ".intoto.jsonl"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
_KINDS = "Ed25519 or ECDSA P-256"
_CURVE = "secp256r1"


@dataclass(frozen=True)
class Envelope:
    """A statement's bytes and the signatures that are said to be over them."""

    payload: bytes
    signatures: tuple[bytes, ...]


@dataclass(frozen=True)
class Signer:
    """A private key, and the name of its public half: the SHA-256 in hex of its DER form."""

    key: PrivateKey
    key_id: str

    def sign(self, payload: bytes) -> bytes:
        """Return one line of a bundle: the payload in an envelope with this key's signature."""
        document = {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [
                {
                    "keyid": self.key_id,
                    "sig": base64.b64encode(_sign(self.key, signed_bytes(payload))).decode(),
                }
            ],
        }
        return json.dumps(document, sort_keys=True).encode() + b"\n"


@dataclass(frozen=True)
class Verifier:
    """A public key; `key_id` is named as in Signer."""

    key: PublicKey
    key_id: str

    def accepts(self, envelope: Envelope) -> bool:
        """Tell whether one of the envelope's signatures is this key's."""
        data = signed_bytes(envelope.payload)
        return any(_is_signed(self.key, signature, data) for signature in envelope.signatures)


def signed_bytes(payload: bytes, kind: str = PAYLOAD_TYPE) -> bytes:
    """Return what is signed: DSSE's pre-authentication encoding of a payload and its type."""
    name = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def load_signer(pem: bytes, where: str) -> Signer:
    """Read a private key without a password; raises PipelineError for any other file."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key: Any = load_pem_private_key(pem, None)
    except TypeError as error:
        raise PipelineError(where, "the key has a password", "Give it without one.") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _not_a_key(where, "private") from error
    _check_kind(key, where)
    return Signer(key, _key_id(key.public_key()))


def load_verifier(pem: bytes, where: str) -> Verifier:
    """Read a public key; raises PipelineError for any other file."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    try:
        key: Any = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _not_a_key(where, "public") from error
    _check_kind(key, where)
    return Verifier(key, _key_id(key))


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


def _sign(key: PrivateKey, data: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    return key.sign(data, ec.ECDSA(SHA256()))


def _is_signed(key: PublicKey, signature: bytes, data: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
        else:
            key.verify(signature, data, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _check_kind(key: Any, where: str) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519  # noqa: PLC0415

    if isinstance(key, (ed25519.Ed25519PrivateKey, ed25519.Ed25519PublicKey)):
        return
    if isinstance(key, (ec.EllipticCurvePrivateKey, ec.EllipticCurvePublicKey)):
        if key.curve.name == _CURVE:
            return
        raise PipelineError(where, f"the key's curve is {key.curve.name}", f"Use {_KINDS}.")
    name = type(key).__name__.removesuffix("PrivateKey").removesuffix("PublicKey").strip("_")
    raise PipelineError(where, f"it is a key for {name}", f"Use {_KINDS}.")


def _not_a_key(where: str, half: str) -> PipelineError:
    return PipelineError(
        where, f"this is not a {half} key in PEM form", f"Give an {_KINDS} {half} key."
    )


def _key_id(key: PublicKey) -> str:
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        PublicFormat,
    )

    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()
