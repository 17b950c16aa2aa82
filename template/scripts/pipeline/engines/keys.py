"""Keys that sign and verify attestations: Ed25519, or ECDSA on P-256 with SHA-256.

Imported where a key is used, and never before the tooling for it is installed.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from ..errors import PipelineError
from .attestation import Signer, Verifier

__all__ = ["load_signer", "load_verifier"]

_KINDS = "Ed25519 or ECDSA P-256"
_CURVE = "secp256r1"


def load_signer(pem: bytes, where: str) -> Signer:
    """Read a private key without a password; raises PipelineError for any other file."""
    try:
        key: Any = load_pem_private_key(pem, None)
    except TypeError as error:
        raise PipelineError(where, "the key has a password", "Give it without one.") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _not_a_key(where, "private") from error
    scheme = _scheme(key, where)
    return Signer(_key_id(key.public_key()), lambda data: key.sign(data, *scheme))


def load_verifier(pem: bytes, where: str) -> Verifier:
    """Read a public key; raises PipelineError for any other file."""
    try:
        key: Any = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _not_a_key(where, "public") from error
    return Verifier(_key_id(key), partial(_is_signed, key, _scheme(key, where)))


def _scheme(key: Any, where: str) -> tuple[ec.ECDSA, ...]:
    """Return what the key's methods want besides the data; refuse other kinds of keys."""
    if isinstance(key, (ed25519.Ed25519PrivateKey, ed25519.Ed25519PublicKey)):
        return ()
    if isinstance(key, (ec.EllipticCurvePrivateKey, ec.EllipticCurvePublicKey)):
        if key.curve.name == _CURVE:
            return (ec.ECDSA(SHA256()),)
        raise PipelineError(where, f"the key's curve is {key.curve.name}", f"Use {_KINDS}.")
    name = type(key).__name__.removesuffix("PrivateKey").removesuffix("PublicKey").strip("_")
    raise PipelineError(where, f"it is a key for {name}", f"Use {_KINDS}.")


def _is_signed(key: Any, scheme: tuple[ec.ECDSA, ...], signature: bytes, data: bytes) -> bool:
    try:
        key.verify(signature, data, *scheme)
    except InvalidSignature:
        return False
    return True


def _not_a_key(where: str, half: str) -> PipelineError:
    return PipelineError(
        where, f"this is not a {half} key in PEM form", f"Give an {_KINDS} {half} key."
    )


def _key_id(key: Any) -> str:
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()
