"""Signing a build with a key that the build server holds: an attestation beside the package."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ..archive.package import list_package
from ..archive.zipreader import read_member
from ..edge.files import write_whole
from ..edge.machine import Machine
from ..engines.attestation import BUNDLE_SUFFIX, Signer
from ..engines.provenance import STATEMENT_NAME, make_statement
from ..errors import PipelineError
from ..values.manifest import encoded
from ..values.names import FUNCTION_ZIP

__all__ = ["SIGNING_KEY", "attest", "bundle_of", "signer_of"]

SIGNING_KEY = "PIPELINE_SIGNING_KEY"
_PEM = "-----BEGIN "


def signer_of(machine: Machine) -> Signer | None:
    r"""Return the signer that PIPELINE_SIGNING_KEY names, or None when it is not set.

    The variable holds a private key in PEM form, its line ends perhaps written as `\n`, or the
    path of a file with one.
    """
    value = machine.environ.get(SIGNING_KEY, "").strip()
    if not value:
        return None
    if value.startswith(_PEM):
        pem = value.replace("\\n", "\n").encode()
    else:
        try:
            pem = (machine.root / value).read_bytes()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no path"
            # The value stays out of the message: it may be half of a key.
            raise PipelineError(
                SIGNING_KEY,
                f"the file that it names cannot be read: {reason}",
                "Set it to a private key in PEM form or to the path of one, or remove it.",
            ) from error
    machine.tooling("sign")
    from ..engines.keys import load_signer  # noqa: PLC0415 - with what was just installed

    return load_signer(pem, SIGNING_KEY)


def bundle_of(package: Path) -> Path:
    """Return where the attestations of a package lie: beside it."""
    return package.with_name(package.name + BUNDLE_SUFFIX)


def attest(package: Path, signer: Signer) -> Path:
    """Write a signed attestation of a package that was just built, and return its path.

    It repeats the provenance inside and adds the package's own digest, which no file in it can
    hold.
    """
    listing = list_package(package)
    found = listing.files
    if STATEMENT_NAME not in found or FUNCTION_ZIP not in found:
        raise PipelineError(
            package.name,
            f"there is no {STATEMENT_NAME} or no {FUNCTION_ZIP} in it, so it cannot be signed",
            "Let the nuspec pack `$stage$/**` again, or remove PIPELINE_SIGNING_KEY.",
        )
    inside: dict[str, Any] = json.loads(read_member(listing.archive, found[STATEMENT_NAME]))
    digests = {
        package.name: hashlib.sha256(package.read_bytes()).hexdigest(),
        FUNCTION_ZIP: hashlib.sha256(read_member(listing.archive, found[FUNCTION_ZIP])).hexdigest(),
    }
    bundle = bundle_of(package)
    statement = make_statement(digests, inside["predicate"])
    write_whole(bundle, signer.sign(encoded(statement)))
    return bundle
