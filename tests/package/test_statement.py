"""The provenance statement in a package, held against its files."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from pipeline.core.manifest import MANIFEST_NAME
from pipeline.package.contents import Package
from pipeline.package.statement import STATEMENT_NAME, mismatches

from tests.package.provenance_support import (
    DEPLOY,
    changed,
    contents,
    dirty,
    manifest_of,
    packed,
    sealed,
    zipped,
)
from tests.words import assert_said

CORE = "package/services/metadata/core-properties/"


def test_every_changed_missing_and_added_file_is_named(tmp_path: Path) -> None:
    """Three things are wrong: three are told; a package whose parts fit has none."""
    assert mismatches(Package.open(packed(tmp_path / "good.nupkg"))) == []
    files = contents()
    files["deploy.py"] = DEPLOY.replace(b"d", b"D")
    files["PreDeploy.sh"] = b"rm -rf /\n"
    del files["environment/stack yaml+"]
    misfits = mismatches(Package.open(packed(tmp_path / "a.nupkg", files))) or []
    assert_said("\n".join(misfits))


@pytest.mark.parametrize("data", [b"", b"[" * 100_000, b"\xff", b"null", b'{"subject": []}'])
def test_no_form_of_damage_passes_for_a_statement(tmp_path: Path, data: bytes) -> None:
    """Cut, nested too deep, of other types: a misfit, and never a trace."""
    package = packed(tmp_path / "a.nupkg", {**contents(), STATEMENT_NAME: data})
    (misfit,) = mismatches(Package.open(package)) or []
    assert_said(misfit)


def test_a_package_without_a_statement_is_told_from_one_that_does_not_fit(tmp_path: Path) -> None:
    """Those of the first release have none, and a nuspec may leave it out."""
    files = contents()
    del files[STATEMENT_NAME]
    assert mismatches(Package.open(packed(tmp_path / "a.nupkg", files))) is None


def test_a_file_named_twice_makes_no_statement(tmp_path: Path) -> None:
    """Two digests for one file would let either pass."""

    def twice(statement: Any) -> None:
        statement["subject"].append(statement["subject"][0])

    package = packed(tmp_path / "a.nupkg", changed(STATEMENT_NAME, twice))
    (misfit,) = mismatches(Package.open(package)) or []
    assert_said(misfit)


def test_a_dirty_build_does_not_claim_its_commit(tmp_path: Path) -> None:
    """The statement says that the work tree differed."""
    files = contents()
    manifest = dirty(manifest_of(files["function.zip"]))
    files[MANIFEST_NAME] = manifest.to_json()
    files = sealed(files, manifest)
    source = json.loads(files[STATEMENT_NAME])["predicate"]["buildDefinition"]
    assert source["resolvedDependencies"][0]["annotations"]["dirty"] is True
    assert mismatches(Package.open(packed(tmp_path / "a.nupkg", files))) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"_rels/evil.sh": b"#!"}, "_rels/evil.sh does not belong in a package made here"),
        ({f"{CORE}evil.py": b"1"}, f"{CORE}evil.py does not belong in a package made here"),
        ({"_rels/.rels": None}, "_rels/.rels is not in the package"),
    ],
)
def test_only_the_parts_of_the_format_are_around_the_files(
    tmp_path: Path, changes: dict[str, bytes | None], said: str
) -> None:
    """No statement names them; nuspec and files decide which there are, and what is in them."""
    path = packed(tmp_path / "a.nupkg")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()} | changes
    path.write_bytes(zipped({name: data for name, data in members.items() if data is not None}))
    assert mismatches(Package.open(path)) == [said]
