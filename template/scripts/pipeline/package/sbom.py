"""The software bill of materials: CycloneDX JSON of the dependencies and of the AWS client."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..core.manifest import Dependency, Manifest, json_bytes
from ..edge.cache import keep, sealed
from ..function.engine import Distribution, distribution_of
from ..project.tables import normal

# The property that says which part of the package has a component, and its two values.
PART = "copier-lambda:part"
FUNCTION, CLIENT = "function", "client"
# The AWS client's packages are these, whatever the function's are.
PYTHON = "pypi"
# A part, and a package of it: its URL, what is locked, its licence.
_Known = tuple[str, str, Dependency, str]
_ROOT = "the package"  # until it has its name
_NAMESPACE = uuid.UUID("6f1f1d0e-4b7e-5d52-9f5f-0a9f3e0c7a11")


def package_url(ecosystem: str, dependency: Dependency) -> str:
    """Return the package URL of a dependency; `ecosystem` is its type there, like `pypi`."""
    name = normal(dependency.name) if ecosystem == PYTHON else dependency.name
    return f"pkg:{ecosystem}/{quote(name)}@{quote(dependency.version, safe='')}"


def make_sbom(
    manifest: Manifest,
    installed: Mapping[str, Distribution],
    client: Mapping[str, Distribution],
    memory: Path | None = None,
    *,
    ecosystem: str = PYTHON,
) -> bytes:
    """Return a build's bill of materials as sorted JSON: the same build gives the same bytes.

    `installed` and `client` are the function's distributions, of packages of `ecosystem`, and the
    AWS client's. What it says of them is kept in the folder `memory`, for the library that knows
    CycloneDX takes longer to import than a whole package takes to be made.
    """
    theirs = [tool for tool in manifest.tools if normal(tool.name) in client]
    parts = (
        (FUNCTION, ecosystem, manifest.dependencies, installed),
        (CLIENT, PYTHON, theirs, client),
    )
    known = [
        (part, package_url(kind, item), item, distribution_of(item, found).licence)
        for part, kind, items, found in parts
        for item in sorted(items, key=lambda item: (item.name, item.version))
    ]
    document = _remembered(known, memory) if memory else _described(known)
    ref = f"{manifest.package_id}@{manifest.version}"
    root = {"bom-ref": ref, "name": manifest.package_id, "version": manifest.version}
    document["metadata"]["component"].update(root)
    number = uuid.uuid5(_NAMESPACE, f"{manifest.package_id} {manifest.function_zip.sha256}")
    document["serialNumber"] = number.urn
    for dependency in document["dependencies"]:
        if dependency["ref"] == _ROOT:
            dependency["ref"] = ref
    document["dependencies"].sort(key=lambda dependency: str(dependency["ref"]))
    return json_bytes(document)


def _remembered(known: list[_Known], memory: Path) -> dict[str, Any]:
    digest = hashlib.sha256(repr(known).encode()).hexdigest()[:32]
    path = memory / f"sbom-{digest}.json"
    if kept := sealed(path):
        document: dict[str, Any] = json.loads(kept.data)
    else:
        document = _described(known)
        keep(path, json.dumps(document).encode())
    return document


def _described(known: list[_Known]) -> dict[str, Any]:
    """Return the bill of materials of a component without a name, as CycloneDX has it."""
    from cyclonedx.model.bom import Bom  # noqa: PLC0415 - slow to import, needed by builds only
    from cyclonedx.model.component import Component, ComponentType  # noqa: PLC0415
    from cyclonedx.output.json import JsonV1Dot6  # noqa: PLC0415

    bom = Bom()
    root = Component(name=_ROOT, type=ComponentType.APPLICATION, bom_ref=_ROOT)
    bom.metadata.component = root
    components = [_component(*one) for one in known]
    for component in components:
        bom.components.add(component)
    bom.register_dependency(root, components)
    document: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    # The library's clock has no place in a file that must be the same tomorrow.
    document["metadata"].pop("timestamp", None)
    return document


def _component(part: str, url: str, dependency: Dependency, licence: str) -> Any:
    from cyclonedx.model import HashAlgorithm, HashType, Property  # noqa: PLC0415
    from cyclonedx.model.component import Component, ComponentType  # noqa: PLC0415
    from packageurl import PackageURL  # noqa: PLC0415

    # Several hashes are those that the lock accepts; only a single one is that of the file used.
    only = dependency.hashes if len(dependency.hashes) == 1 else ()
    pairs = [digest.removeprefix("sha").split(":") for digest in only]
    return Component(
        name=dependency.name,
        version=dependency.version,
        type=ComponentType.LIBRARY,
        purl=PackageURL.from_string(url),
        bom_ref=url if part == FUNCTION else f"{part}:{url}",
        hashes=[HashType(alg=HashAlgorithm[f"SHA_{bits}"], content=text) for bits, text in pairs],
        licenses=[_license(licence)] if licence else [],
        properties=[Property(name=PART, value=part)],
    )


def _license(text: str) -> Any:
    from cyclonedx.contrib.license.factories import LicenseFactory  # noqa: PLC0415
    from cyclonedx.model.license import LicenseExpression  # noqa: PLC0415

    factory = LicenseFactory()
    found = factory.make_from_string(text)
    # A word like GPL, which SPDX does not know, passes there for an expression.
    if isinstance(found, LicenseExpression) and " " not in text:
        return factory.make_with_name(text)
    return found
