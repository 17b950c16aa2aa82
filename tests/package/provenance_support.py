"""A small package made as the pipeline makes them, every part of which a test can replace."""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.core.manifest import (
    MANIFEST_NAME,
    Dependency,
    FunctionFacts,
    Manifest,
    Source,
    ZipFacts,
)
from pipeline.core.names import SBOM_NAME
from pipeline.function.engine import Distribution
from pipeline.package.nupkg import pack
from pipeline.package.nuspec import Nuspec, parse, render_for_package
from pipeline.package.sbom import make_sbom
from pipeline.package.statement import STATEMENT_NAME, make_statement
from pipeline.zip.reader import open_archive
from pipeline.zip.writer import Member, compress, store, write_zip

COMMIT = "c0ffee0123456789c0ffee0123456789c0ffee01"
LIBRARY = hashlib.sha256(b"the library").hexdigest()
WHEEL = "a" * 64
FUNCTION = {
    "acme/handler.py": b"def handle(event, context):\n    return event\n",
    "six.py": b"# six\n" * 400,
    "six-1.17.0.dist-info/METADATA": b"Name: six\nVersion: 1.17.0\nLicense: MIT\n",
    "six-1.17.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nTag: py2-none-any\nTag: py3-none-any\n",
}
CLIENT = {
    "client/boto3-1.44.5.dist-info/METADATA": b"Name: boto3\nVersion: 1.44.5\nLicense: MIT\n",
    "client/boto3/__init__.py": b"# boto3\n",
}
DEPLOY = b"print('deploy')\n" * 20
# The nuspec of a package that others made; `%b` takes more metadata.
SPEC = b"<package><metadata><id>A</id><version>1.0.0</version>%b</metadata></package>"

Files = dict[str, bytes]


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Return a zip of the files, as the pipeline writes them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.zip"
        write_zip(path, [Member(name, 0o644, compress(data)) for name, data in files.items()])
        return path.read_bytes()


def manifest_of(function_zip: bytes) -> Manifest:
    """Return a manifest that fits a function zip."""
    digest = hashlib.sha256(function_zip).digest()
    entries = open_archive(function_zip).entries
    return Manifest(
        package_id="Acme.Sample",
        version="2.0.7",
        source=Source(COMMIT, "main", dirty=False),
        function=FunctionFacts("Sample", "python3.13", "arm64", "acme.handler.handle", "", {}, {}),
        function_zip=ZipFacts(
            digest.hex(),
            base64.b64encode(digest).decode(),
            len(function_zip),
            sum(entry.size for entry in entries),
            len(entries),
        ),
        dependencies=(Dependency("six", "1.17.0", (f"sha256:{WHEEL}", f"sha256:{'b' * 64}")),),
        tools=(
            Dependency("boto3", "1.44.5", (f"sha256:{'c' * 64}",)),
            Dependency("deflate", "0.9.0"),
            Dependency("uv", "0.13.9"),
        ),
        environments={},
    )


def contents() -> Files:
    """Return the files of a package, all of which fit each other, by name."""
    function_zip = zipped(FUNCTION)
    manifest = manifest_of(function_zip)
    installed = {"six": Distribution("1.17.0", "MIT", ("py2-none-any", "py3-none-any"))}
    client = {"boto3": Distribution("1.44.5", "MIT")}
    files = {
        **CLIENT,
        "deploy.py": DEPLOY,
        "environment/stack yaml+": b"Resources: {}\n",
        "function.zip": function_zip,
        MANIFEST_NAME: manifest.to_json(),
        SBOM_NAME: make_sbom(manifest, installed, client),
    }
    return sealed(files, manifest, {name: found.tags for name, found in installed.items()})


def sealed(
    files: Files, manifest: Manifest, wheels: Mapping[str, tuple[str, ...]] | None = None
) -> Files:
    """Return the files with a statement about exactly them."""
    digests = {
        name: hashlib.sha256(data).hexdigest()
        for name, data in files.items()
        if name != STATEMENT_NAME
    }
    rendered = render_for_package(nuspec(), Source(COMMIT, "main", None))
    digests["Acme.Sample.nuspec"] = hashlib.sha256(rendered).hexdigest()
    tags = {"six": ("py2-none-any", "py3-none-any")} if wheels is None else wheels
    statement = make_statement(manifest, digests, library=LIBRARY, wheels=tags)
    return {**files, STATEMENT_NAME: statement}


def nuspec(version: str = "2.0.7") -> Nuspec:
    """Return the sample's nuspec."""
    return parse(
        "<package><metadata><id>Acme.Sample</id>"
        f"<version>{version}</version><authors>A team</authors>"
        "<description>A sample.</description></metadata></package>".encode(),
        "x",
    )


def packed(
    path: Path, files: Files | None = None, *, version: str = "2.0.7", commit: str = COMMIT
) -> Path:
    """Write a package of the files, by default of those that fit each other."""
    members = {
        name: store(data) if name == "function.zip" else compress(data)
        for name, data in (contents() if files is None else files).items()
    }
    pack(nuspec(version), members, path, source=Source(commit, "main", None))
    return path


def changed(name: str, change: Callable[[Any], None]) -> Files:
    """Return the files with one JSON document changed and the statement made to fit its bytes."""
    files = contents()
    document = json.loads(files[name])
    change(document)
    files[name] = json.dumps(document).encode()
    if name == STATEMENT_NAME:
        return files
    statement = json.loads(files[STATEMENT_NAME])
    for subject in statement["subject"]:
        if subject["name"] == name:
            subject["digest"]["sha256"] = hashlib.sha256(files[name]).hexdigest()
    return {**files, STATEMENT_NAME: json.dumps(statement).encode()}


def dirty(manifest: Manifest) -> Manifest:
    """Return the manifest of a build whose work tree differed from its commit."""
    return replace(manifest, source=replace(manifest.source, dirty=True))
