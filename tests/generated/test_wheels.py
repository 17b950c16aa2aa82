"""Which wheel a dependency came from: the lock says it, and the package repeats it."""

from __future__ import annotations

import json
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from tests.generated.repository import Repository
from tests.generated.test_build_refusals import source, wheel
from tests.repositories import git


@pytest.mark.slow
def test_the_hash_of_the_wheel_that_was_installed(repository: Repository, tmp_path: Path) -> None:
    """`lock` names the wheels that Lambda may take, a build tells the one that it took."""
    folder = tmp_path / "twofiles"
    folder.mkdir()
    digest, other = wheel(folder, "twofiles", "any"), source(folder, "twofiles")
    wheel(folder, "twofiles", "win32")
    links = [
        f'<a href="{path.name}#sha256={sha256(path.read_bytes()).hexdigest()}">{path.name}</a>'
        for path in sorted(folder.iterdir())
    ]
    (folder / "index.html").write_text("<!DOCTYPE html>" + "".join(links), encoding="utf-8")
    repository.edit("pyproject.toml", "dependencies = []", 'dependencies = ["twofiles"]')
    repository.edit("pyproject.toml", 'test = ["pytest>=8"]', "test = []")
    pyproject = repository.root / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    table = f"\n[[tool.uv.index]]\nurl = '{tmp_path.as_uri()}'\ndefault = true\n"
    pyproject.write_text(text + table, encoding="utf-8")
    repository.must("lock")
    # The environment's index counts before the repository's.
    pyproject.write_text(text + table.replace("file:", "file:/nowhere"), encoding="utf-8")
    index = {"UV_DEFAULT_INDEX": tmp_path.as_uri()}
    lock = (repository.root / "requirements" / "function.txt").read_text(encoding="utf-8")
    assert lock.count("--hash=") == 3
    assert f"--hash=sha256:{other}" in lock
    named = [line for line in lock.splitlines() if "#" in line]
    assert named == [f"    # twofiles-1.0-py3-none-any.whl sha256:{digest}"]
    repository.commit()
    assert "nothing changed" in repository.must("lock", extra=index).err
    assert git(repository.root, "status", "--porcelain") == ""
    repository.must("package", extra=index)
    package = repository.root / str(repository.latest()["package"])
    with zipfile.ZipFile(package) as archive:
        bill, statement = (
            json.loads(archive.read(name)) for name in ("sbom.cdx.json", "provenance.json")
        )
    hashes = {item["name"]: item["hashes"][0]["content"] for item in bill["components"]}
    assert hashes["twofiles"] == digest
    assert len(hashes) == 8, "the AWS client's seven are there too"
    materials = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert materials[-1]["digest"] == {"sha256": digest}
    assert "its statement fits all" in repository.must("inspect", str(package)).out
