"""The bill of materials: valid CycloneDX, the same bytes for the same build."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from pipeline.core.manifest import Dependency, FunctionFacts, Manifest, Source, ZipFacts
from pipeline.function.engine import Distribution
from pipeline.function.python.requirements import facts_of, installed_in
from pipeline.package.sbom import make_sbom

ONE, TWO = f"sha256:{'0' * 64}", f"sha256:{'1' * 64}"
MANIFEST = Manifest(
    package_id="Acme.Orders",
    version="2.0.7",
    source=Source("3f2c1ab", "main", dirty=False),
    function=FunctionFacts("Orders", "python3.13", "arm64", "app.handle", "", {}, {}),
    function_zip=ZipFacts("ab" * 32, "AA==", 1, 2, 3),
    dependencies=(
        Dependency("boto3", "1.40.0", (ONE,)),
        Dependency("python_dateutil", "2.9.0", (ONE, TWO)),
    ),
    tools=(Dependency("boto3", "1.44.5", (TWO,)), Dependency("uv", "0.13.9")),
    environments={},
)
INSTALLED = {
    "boto3": Distribution("1.40.0", "Apache-2.0"),
    "python-dateutil": Distribution("2.9.0", ""),
}
CLIENT = {"boto3": Distribution("1.44.5", "Apache-2.0")}


def document(data: bytes) -> dict[str, Any]:
    """Return the JSON document, which must be a table."""
    found = json.loads(data)
    assert isinstance(found, dict)
    return found


def test_it_is_valid_cyclonedx() -> None:
    """The standard's own schema accepts it, with and without dependencies."""
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    for manifest in (MANIFEST, replace(MANIFEST, dependencies=())):
        assert validator.validate_str(make_sbom(manifest, INSTALLED, CLIENT).decode()) is None


def test_packages_of_npm() -> None:
    """They have npm's URLs, both of two versions, and the SHA-512 of the lock."""
    digest = "sha512:" + "0" * 128
    packages = (("@s/a", "1.0.0"), ("b", "1.0.0"), ("b", "2.0.0"))
    dependencies = tuple(Dependency(*package, (digest,)) for package in packages)
    installed = {f"{name}@{number}": Distribution(number, "MIT") for name, number in packages}
    manifest = replace(MANIFEST, dependencies=dependencies)
    text = make_sbom(manifest, installed, CLIENT, ecosystem="npm").decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    found = {one["purl"]: one for one in document(text.encode())["components"]}
    ours = {"pkg:npm/%40s/a@1.0.0", "pkg:npm/b@1.0.0", "pkg:npm/b@2.0.0"}
    assert found.keys() == {*ours, "pkg:pypi/boto3@1.44.5"}
    assert found["pkg:npm/b@2.0.0"]["hashes"] == [{"alg": "SHA-512", "content": "0" * 128}]


def test_the_same_build_gives_the_same_bytes() -> None:
    """No clock, no random number, no order of insertion."""
    turned = dict(reversed(INSTALLED.items()))
    swapped = replace(MANIFEST, dependencies=MANIFEST.dependencies[::-1])
    first = make_sbom(MANIFEST, INSTALLED, CLIENT)
    assert make_sbom(MANIFEST, turned, CLIENT) == first
    assert make_sbom(swapped, INSTALLED, CLIENT) == first
    assert "timestamp" not in document(first)["metadata"]


def test_another_function_zip_has_another_serial_number() -> None:
    """Two builds are two documents, even with the same dependencies."""
    other = replace(MANIFEST, function_zip=replace(MANIFEST.function_zip, sha256="cd" * 32))
    serials = {
        document(make_sbom(manifest, INSTALLED, {}))["serialNumber"]
        for manifest in (MANIFEST, other)
    }
    assert len(serials) == 2


def test_it_names_package_and_dependencies() -> None:
    """Name, version, package URL and licence; a hash where only one file can be meant."""
    found = document(make_sbom(MANIFEST, INSTALLED, {}))
    assert found["metadata"]["component"]["name"] == "Acme.Orders"
    assert found["metadata"]["component"]["version"] == "2.0.7"
    boto3, dateutil = sorted(found["components"], key=lambda item: item["name"])
    assert boto3["purl"] == "pkg:pypi/boto3@1.40.0"
    assert boto3["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert boto3["hashes"] == [{"alg": "SHA-256", "content": "0" * 64}]
    assert dateutil["purl"] == "pkg:pypi/python-dateutil@2.9.0"
    assert "licenses" not in dateutil
    assert "hashes" not in dateutil
    edges = {edge["ref"]: edge.get("dependsOn", []) for edge in found["dependencies"]}
    assert sorted(edges["Acme.Orders@2.0.7"]) == sorted([boto3["bom-ref"], dateutil["bom-ref"]])


def test_the_client_is_listed_apart_from_the_function() -> None:
    """Both may have boto3, in two versions; tools that do not travel stay out."""
    found = document(make_sbom(MANIFEST, INSTALLED, CLIENT))
    (client,) = [item for item in found["components"] if item["properties"][0]["value"] == "client"]
    assert client["properties"] == [{"name": "copier-lambda:part", "value": "client"}]
    assert (client["purl"], client["bom-ref"]) == (
        "pkg:pypi/boto3@1.44.5",
        "client:pkg:pypi/boto3@1.44.5",
    )
    assert client["hashes"] == [{"alg": "SHA-256", "content": "1" * 64}]
    others = [item["properties"][0]["value"] for item in found["components"] if item != client]
    assert others == ["function", "function"]
    (edges,) = [edge["dependsOn"] for edge in found["dependencies"] if "dependsOn" in edge]
    assert sorted(edges) == sorted(item["bom-ref"] for item in found["components"])


@pytest.mark.parametrize(
    ("text", "licences"),
    [
        ("mit", [{"license": {"id": "MIT"}}]),
        ("Apache-2.0 OR BSD-3-Clause", [{"expression": "Apache-2.0 OR BSD-3-Clause"}]),
        ("BSD License", [{"license": {"name": "BSD License"}}]),
        ("MIT AND", [{"license": {"name": "MIT AND"}}]),
        ("GPL", [{"license": {"name": "GPL"}}]),
    ],
)
def test_a_licence_that_spdx_knows_is_an_id(text: str, licences: list[Any]) -> None:
    """Readers look up ids and expressions; what is neither stays a name."""
    installed = {**INSTALLED, "boto3": Distribution("1.40.0", text)}
    found = document(make_sbom(MANIFEST, installed, {}))
    assert next(i for i in found["components"] if i["name"] == "boto3")["licenses"] == licences


@pytest.mark.parametrize(
    ("headers", "licence"),
    [
        ("License-Expression: Apache-2.0\nLicense: other", "Apache-2.0"),
        ("License: BSD-3-Clause", "BSD-3-Clause"),
        (
            "License: " + "x" * 80 + "\nClassifier: License :: OSI Approved :: MIT License",
            "MIT License",
        ),
        (
            "License: Copyright\n        by us\nClassifier: License :: Public Domain",
            "Public Domain",
        ),
        ("Classifier: Programming Language :: Python", ""),
    ],
)
def test_the_licence_is_read_from_the_metadata(headers: str, licence: str, tmp_path: Path) -> None:
    """The expression, else a short text, else the classifier; a licence's whole text is no name."""
    metadata = f"Metadata-Version: 2.4\nName: Some_Thing\nVersion: 1.0\n{headers}\n\nBody"
    for name, data in {"some_thing-1.0": metadata, "some_thing/x-1": "Name: x\n\n"}.items():
        (tmp_path / f"{name}.dist-info").mkdir(parents=True)
        (tmp_path / f"{name}.dist-info" / "METADATA").write_text(data, encoding="utf-8")
    found = {name: facts_of(one) for name, one in installed_in(tmp_path).items()}
    assert found == {"some-thing": Distribution("1.0", licence)}
