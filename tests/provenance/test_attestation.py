"""Signed attestations: DSSE envelopes beside the package, and what a key makes of them."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from pipeline.archive.package import Package
from pipeline.edge.machine import Machine
from pipeline.engines.attestation import PAYLOAD_TYPE, Signer, read_bundle, signed_bytes
from pipeline.engines.keys import load_signer, load_verifier
from pipeline.engines.provenance import STATEMENT_NAME
from pipeline.errors import PipelineError
from pipeline.verbs.proof import Proof, prove
from pipeline.verbs.sign import SIGNING_KEY, attest, bundle_of, signer_of

from tests.provenance.provenance_support import Key, contents, packed, private_pem, public_pem

KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
CURVE = ec.derive_private_key(7, ec.SECP256R1())


def signer(key: Key = KEY) -> Signer:
    """Return the signer of a key."""
    return load_signer(private_pem(key), "key.pem")


def checked(package: Path, key: Key | None = KEY) -> Proof:
    """Check a package with the public half of a key."""
    verifier = load_verifier(public_pem(key), "key.pub") if key else None
    return prove(Package.open(package), verifier)


def machine(tmp_path: Path, value: str) -> tuple[Machine, list[str]]:
    """Return a machine with the signing key set, and the list of tooling it is asked for."""
    asked: list[str] = []

    def no_uv() -> Path:
        raise AssertionError

    made = Machine(
        root=tmp_path,
        cache_folder=lambda: tmp_path,
        environ={SIGNING_KEY: value},
        now=lambda: datetime(2026, 11, 23, tzinfo=UTC),
        seconds=lambda: 0.0,
        uv_program=no_uv,
        tooling=asked.append,
    )
    return made, asked


def test_what_is_signed_is_dsses_encoding() -> None:
    """The example of DSSE's protocol.md, and lengths in bytes for what is not ASCII."""
    example = signed_bytes(b"hello world", "http://example.com/HelloWorld")
    assert example == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert signed_bytes("ü".encode(), "é") == "DSSEv1 2 é 2 ü".encode()


@pytest.mark.parametrize("key", [KEY, CURVE], ids=["ed25519", "p256"])
def test_a_signed_package_is_proven(tmp_path: Path, key: Key) -> None:
    """The attestation beside the package names its bytes, and any DSSE reader can check it."""
    package = packed(tmp_path / "a.nupkg")
    bundle = attest(package, signer(key))
    assert bundle == tmp_path / "a.nupkg.intoto.jsonl"
    assert bundle.read_bytes().count(b"\n") == 1
    envelope = json.loads(bundle.read_bytes())
    payload = base64.b64decode(envelope["payload"])
    data = b"DSSEv1 28 application/vnd.in-toto+json %d %b" % (len(payload), payload)
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    public: Any = key.public_key()
    if isinstance(key, ec.EllipticCurvePrivateKey):
        public.verify(signature, data, ec.ECDSA(SHA256()))
    else:
        public.verify(signature, data)
    named = {item["name"]: item["digest"]["sha256"] for item in json.loads(payload)["subject"]}
    assert named["a.nupkg"] == hashlib.sha256(package.read_bytes()).hexdigest()
    assert named["function.zip"] == hashlib.sha256(contents()["function.zip"]).hexdigest()
    proof = checked(package, key)
    assert proof.mismatches == []
    assert any("has signed these bytes" in text for text in proof.document()["proven"])
    assert not any("who" in text for text in proof.document()["not_proven"])


def test_an_ed25519_attestation_is_the_same_each_time(tmp_path: Path) -> None:
    """The same package and key give the same file."""
    package = packed(tmp_path / "a.nupkg")
    first = attest(package, signer()).read_bytes()
    assert attest(package, signer()).read_bytes() == first


def test_without_a_key_the_signature_proves_nothing(tmp_path: Path) -> None:
    """What the attestation says is compared; who said it is left open, and that is told."""
    package = packed(tmp_path / "a.nupkg")
    attest(package, signer())
    document = checked(package, None).document()
    assert document["verified"] is True
    assert any("who signed the attestation" in text for text in document["not_proven"])


def test_another_key_is_refused(tmp_path: Path) -> None:
    """A signature by whoever is not the one that was asked for."""
    package = packed(tmp_path / "a.nupkg")
    attest(package, signer(OTHER))
    wrong = checked(package).mismatches
    assert len(wrong) == 1
    assert "holds no signature by the key" in wrong[0]


def test_a_key_without_an_attestation_is_a_mismatch(tmp_path: Path) -> None:
    """Taking the attestation away does not make a package pass."""
    assert checked(packed(tmp_path / "a.nupkg")).mismatches == [
        "there is no a.nupkg.intoto.jsonl beside the package"
    ]


def test_an_attestation_of_another_package_is_a_mismatch(tmp_path: Path) -> None:
    """A true signature, moved to a package that it is not about."""
    bundle = attest(packed(tmp_path / "a.nupkg"), signer())
    files = contents()
    files["deploy.py"] += b"#"
    other = packed(tmp_path / "b.nupkg", files)
    bundle.rename(bundle_of(other))
    assert any("it is about a.nupkg with sha256" in text for text in checked(other).mismatches)


@pytest.mark.parametrize("at", [40, 3_000])
def test_a_changed_payload_is_refused(tmp_path: Path, at: int) -> None:
    """One letter of what was signed differs."""
    package = packed(tmp_path / "a.nupkg")
    bundle = attest(package, signer())
    envelope = json.loads(bundle.read_bytes())
    payload = bytearray(base64.b64decode(envelope["payload"]))
    payload[min(at, len(payload) - 2)] ^= 1
    envelope["payload"] = base64.b64encode(payload).decode()
    bundle.write_text(json.dumps(envelope), encoding="utf-8")
    assert any("holds no signature" in text for text in checked(package).mismatches)


def test_a_signed_statement_with_another_predicate_is_a_mismatch(tmp_path: Path) -> None:
    """The attestation has to repeat the provenance that lies in the package."""
    package = packed(tmp_path / "a.nupkg")
    bundle = attest(package, signer())
    statement = json.loads(base64.b64decode(json.loads(bundle.read_bytes())["payload"]))
    statement["predicate"]["runDetails"]["builder"]["id"] = "urn:elsewhere"
    bundle.write_bytes(signer().sign(json.dumps(statement).encode()))
    wrong = checked(package).mismatches
    assert len(wrong) == 1
    assert "builder id is urn:elsewhere" in wrong[0]


def test_lines_of_others_do_not_count(tmp_path: Path) -> None:
    """A bundle may hold more: other types, other keys, other subjects, and what is no JSON."""
    package = packed(tmp_path / "a.nupkg")
    ours = attest(package, signer()).read_bytes()
    lines = [
        b"not json",
        b'"text"',
        b"[" * 5_000,
        b'{"payloadType": "text/plain", "payload": "", "signatures": []}',
        b'{"payloadType": "%b", "payload": "!", "signatures": []}' % PAYLOAD_TYPE.encode(),
        signer(OTHER).sign(b"{}").strip(),
        signer().sign(b'{"_type": "x"}').strip(),
    ]
    bundle_of(package).write_bytes(b"\n".join(lines) + b"\n" + ours)
    assert checked(package).mismatches == []
    bundle_of(package).write_bytes(b"\n".join(lines))
    wrong = checked(package).mismatches
    assert wrong == ["a.nupkg.intoto.jsonl: there is no provenance of a package in it"]


def test_an_unsigned_envelope_is_signed_by_nobody() -> None:
    """No signatures, empty ones and ones of odd lengths are all refused."""
    verifier = load_verifier(public_pem(KEY), "key.pub")
    for signatures in ("[]", '[{"sig": ""}]', '[{"sig": "AAAA"}]'):
        line = f'{{"payloadType": "{PAYLOAD_TYPE}", "payload": "e30=", "signatures": {signatures}}}'
        (envelope,) = read_bundle(line.encode())
        assert not verifier.accepts(envelope)


def test_the_key_comes_as_text_or_as_a_path(tmp_path: Path) -> None:
    """PEM text, its line ends perhaps escaped, or a file; then the tooling is asked for."""
    pem = private_pem(KEY).decode()
    (tmp_path / "a key.pem").write_text(pem, encoding="utf-8")
    for value in (pem, pem.replace("\n", "\\n"), "a key.pem", str(tmp_path / "a key.pem")):
        here, asked = machine(tmp_path, value)
        found = signer_of(here)
        assert found is not None
        assert found.key_id == signer().key_id
        assert asked == ["sign"]


def test_without_the_variable_nothing_is_signed_or_installed(tmp_path: Path) -> None:
    """Unset and empty are the same."""
    here, asked = machine(tmp_path, "  ")
    assert signer_of(here) is None
    assert asked == []


_PASSWORD = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
_RSA = rsa.generate_private_key(65_537, 2_048)


@pytest.mark.parametrize(
    ("pem", "said"),
    [
        (_PASSWORD, "the key has a password"),
        (private_pem(_RSA), "it is a key for RSA"),
        (private_pem(ec.derive_private_key(7, ec.SECP384R1())), "curve is secp384r1"),
        (public_pem(KEY), "this is not a private key in PEM form"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "not a private key"),
    ],
)
def test_a_key_that_cannot_sign_is_refused(tmp_path: Path, pem: bytes, said: str) -> None:
    """The message says which keys can, and holds nothing of the key."""
    here, _ = machine(tmp_path, pem.decode())
    with pytest.raises(PipelineError, match=said) as caught:
        signer_of(here)
    assert caught.value.where == SIGNING_KEY
    assert pem.decode().splitlines()[1] not in str(caught.value)


def test_a_key_file_that_is_missing_is_told_without_its_value(tmp_path: Path) -> None:
    """The value may be a piece of a key: the message names the variable only."""
    for value in ("MC4CAQAwBQYDK2VwBCIEIA", "x" * 5_000, "a\0b"):
        here, _ = machine(tmp_path, value)
        with pytest.raises(PipelineError, match="cannot be read") as caught:
            signer_of(here)
        assert value not in str(caught.value)


def test_a_private_key_does_not_serve_for_checking() -> None:
    """Whoever mixes the halves up is told which is needed."""
    with pytest.raises(PipelineError, match="not a public key in PEM form"):
        load_verifier(private_pem(KEY), "key.pem")


def test_a_package_without_a_statement_is_not_signed(tmp_path: Path) -> None:
    """A nuspec may leave the statement out; then there is nothing to sign."""
    files = contents()
    del files[STATEMENT_NAME]
    package = packed(tmp_path / "a.nupkg", files)
    with pytest.raises(PipelineError, match=STATEMENT_NAME):
        attest(package, signer())
    assert [path.name for path in tmp_path.iterdir()] == ["a.nupkg"]
