"""`inspect --verify-provenance`: what fits, what does not, and that all of it is named."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pipeline.archive.package import Package
from pipeline.engines.provenance import STATEMENT_NAME
from pipeline.engines.sbom import SBOM_NAME
from pipeline.values.manifest import MANIFEST_NAME
from pipeline.verbs.proof import Proof, prove

from tests.provenance.provenance_support import (
    COMMIT,
    DEPLOY,
    WHEEL,
    Files,
    changed,
    contents,
    dirty,
    manifest_of,
    packed,
    sealed,
    zipped,
)


def proof(tmp_path: Path, files: Files | None = None, **how: Any) -> Proof:
    """Pack the files and check the package."""
    return prove(Package.open(packed(tmp_path / "a.nupkg", files, **how)), None)


def test_a_package_whose_parts_fit_is_proven(tmp_path: Path) -> None:
    """Statement, manifest and SBOM fit the bytes; what cannot be known is said."""
    found = proof(tmp_path)
    assert found.mismatches == []
    document = found.document()
    assert document["verified"] is True
    assert len(document["proven"]) == 4
    assert "8 files" in document["proven"][0]
    assert any(COMMIT[:12] in text for text in document["not_proven"])
    assert any("who built it" in text for text in document["not_proven"])


def test_every_changed_missing_and_added_file_is_named(tmp_path: Path) -> None:
    """Three things are wrong: three are told, with both digests where there are two."""
    files = contents()
    files["deploy.py"] = DEPLOY.replace(b"d", b"D")
    files["PreDeploy.sh"] = b"rm -rf /\n"
    del files["environment/stack yaml+"]
    wrong = proof(tmp_path, files).mismatches
    assert len(wrong) == 3
    assert wrong[0].startswith("PreDeploy.sh is in the package")
    assert "deploy.py has sha256" in wrong[1]
    assert "environment/stack yaml+, which is not in the package" in wrong[2]


def _set(*path: str | int, to: Any) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = to

    return change


_DEFINITION = ("predicate", "buildDefinition")
CHANGES = [
    (MANIFEST_NAME, _set("source", "commit", to="f" * 40), "the nuspec's commit is c0ffee"),
    (MANIFEST_NAME, _set("function", "runtime", to="python3.11"), "runtime is python3.13"),
    (MANIFEST_NAME, _set("dependencies", to=[]), "dependency six is 1.17.0, not missing"),
    (SBOM_NAME, _set("components", to=[]), "dependency six is missing, not 1.17.0"),
    (SBOM_NAME, _set("components", 1, "version", to="1.16.0"), "six is 1.16.0, not 1.17.0"),
    (
        SBOM_NAME,
        _set("components", 1, "hashes", to=[{"alg": "SHA-256", "content": "0" * 64}]),
        "six has a hash that the lock does not accept",
    ),
    (SBOM_NAME, _set("components", to=[]), "client boto3 is missing, not 1.44.5"),
    (SBOM_NAME, _set("components", 0, "version", to="1.0"), "client boto3 is 1.0, not 1.44.5"),
    (SBOM_NAME, _set("components", 0, "properties", to=[]), "dependency boto3 is 1.44.5, not miss"),
    (
        SBOM_NAME,
        _set("components", 0, "hashes", to=[{"alg": "SHA-256", "content": "0" * 64}]),
        "client boto3 has a hash that the lock does not accept",
    ),
    (SBOM_NAME, _set("metadata", "component", "version", to="9"), "is about Acme.Sample 9"),
    (SBOM_NAME, _set("metadata", to=7), "is not a CycloneDX document"),
    (STATEMENT_NAME, _set("_type", to="x"), "_type is x, not https://in-toto.io/Statement/v1"),
    (STATEMENT_NAME, _set("predicate", to=[]), "predicate is []"),
    (
        STATEMENT_NAME,
        _set(*_DEFINITION, "externalParameters", "architecture", to="x86_64"),
        "architecture is x86_64, not arm64",
    ),
    (
        STATEMENT_NAME,
        _set(*_DEFINITION, "resolvedDependencies", 0, "digest", "gitCommit", to="f" * 40),
        f"gitCommit is {'f' * 40}, not {COMMIT}",
    ),
    (
        STATEMENT_NAME,
        _set(*_DEFINITION, "resolvedDependencies", 2, "annotations", to={}),
        f"acceptedSha256 is missing, not ['{WHEEL}".replace("'", '"'),
    ),
    (STATEMENT_NAME, _set("subject", to="none"), "is not an in-toto statement"),
]


@pytest.mark.parametrize(("name", "change", "said"), CHANGES)
def test_a_false_claim_is_named_with_what_is_true(
    tmp_path: Path, name: str, change: Callable[[Any], None], said: str
) -> None:
    """Each document is compared with the others and with the bytes, not only hashed."""
    wrong = proof(tmp_path, changed(name, change)).mismatches
    assert any(said in text for text in wrong), wrong


@pytest.mark.parametrize("name", [SBOM_NAME, STATEMENT_NAME])
@pytest.mark.parametrize("data", [None, b"", b"[" * 100_000, b"\xff", b"null", b'{"subject": 3}'])
def test_a_missing_or_unreadable_document_is_a_mismatch(
    tmp_path: Path, name: str, data: bytes | None
) -> None:
    """No form of damage passes for a proof, and none ends in a traceback."""
    files = contents()
    if data is None:
        del files[name]
    else:
        files[name] = data
    assert any(name in text for text in proof(tmp_path, files).mismatches)


def test_a_dirty_build_does_not_claim_its_commit(tmp_path: Path) -> None:
    """The statement says that the work tree differed, and the check repeats it."""
    files = contents()
    manifest = dirty(manifest_of(files["function.zip"]))
    files[MANIFEST_NAME] = manifest.to_json()
    files = sealed(files, manifest)
    source = json.loads(files[STATEMENT_NAME])["predicate"]["buildDefinition"]
    assert source["resolvedDependencies"][0]["annotations"]["dirty"] is True
    found = proof(tmp_path, files)
    assert found.mismatches == []
    assert any("not known to be clean" in text for text in found.document()["not_proven"])


def test_a_file_named_twice_makes_no_statement(tmp_path: Path) -> None:
    """Two digests for one file would let either pass."""

    def twice(statement: Any) -> None:
        statement["subject"].append(statement["subject"][0])

    wrong = proof(tmp_path, changed(STATEMENT_NAME, twice)).mismatches
    assert wrong == [f"{STATEMENT_NAME} is not an in-toto statement"]


def repacked(path: Path, changes: dict[str, bytes | None]) -> Proof:
    """Check the sample package after parts of it were added, replaced or (None) left out."""
    with zipfile.ZipFile(packed(path)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()} | changes
    path.write_bytes(zipped({name: data for name, data in members.items() if data is not None}))
    return prove(Package.open(path), None)


CORE = "package/services/metadata/core-properties/"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"_rels/evil.sh": b"#!"}, "_rels/evil.sh is in no package of ours"),
        ({f"{CORE}evil.py": b"1"}, f"{CORE}evil.py is in no package of ours"),
        ({"_rels/.rels": b"<Relationships />"}, "_rels/.rels is not what nuspec and files give"),
        ({"_rels/.rels": None}, "_rels/.rels is not in the package"),
        ({"[Content_Types].xml": b""}, "[Content_Types].xml is not what nuspec and files give"),
    ],
)
def test_only_the_parts_of_the_format_are_around_the_files(
    tmp_path: Path, changes: dict[str, bytes | None], said: str
) -> None:
    """No statement names them; nuspec and files decide which there are, and what is in them."""
    found = repacked(tmp_path / "a.nupkg", changes)
    assert found.mismatches == [said]
    assert not any("no others" in text for text in found.document()["proven"])


def test_a_changed_nuspec_is_found(tmp_path: Path) -> None:
    """The statement names it: another description or another dependency is a mismatch."""
    with zipfile.ZipFile(packed(tmp_path / "a.nupkg")) as archive:
        text = archive.read("Acme.Sample.nuspec")
    other = b'</description>\n    <dependencies><dependency id="Evil" /></dependencies>'
    changed_text = text.replace(b"</description>", other)
    assert changed_text != text
    wrong = repacked(tmp_path / "a.nupkg", {"Acme.Sample.nuspec": changed_text}).mismatches
    assert len(wrong) == 1
    assert wrong[0].startswith("Acme.Sample.nuspec has sha256")


def test_an_older_statement_leaves_the_nuspec_unproven(tmp_path: Path) -> None:
    """Where no digest of it was written, that is said in plain words."""

    def older(statement: Any) -> None:
        statement["subject"] = [
            item for item in statement["subject"] if not item["name"].endswith(".nuspec")
        ]

    found = proof(tmp_path, changed(STATEMENT_NAME, older))
    assert found.mismatches == []
    assert any("the nuspec's texts" in text for text in found.document()["not_proven"])
