"""The manifest of a build: what a package holds and where it came from.

It travels inside the package as `build.json` and lies beside it in the build's folder. It
holds no fact about the machine that built it, so the same commit gives the same manifest.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from .errors import PipelineError
from .lambda_limits import HANDLER_LIMIT
from .names import LAMBDA_NAME, package_id_problem, package_version_problem
from .strict_json import parse_json

MANIFEST_NAME = "build.json"
# What the bucket is called among the texts with variables; no environment variable is.
BUCKET = "the bucket"
# What an environment's place may have besides account, region and role.
KEEP_VERSIONS = "keep-versions"
_SCHEMA = 1
_ITS_LIBRARY = "Use the library of the commit that the package was built from."
# Facts of the function that older manifests do not have.
_LATER = ("boto3", "bucket")
# Build servers name commits of other systems too; nothing that git would take for an option.
_COMMIT = re.compile(r"[0-9A-Za-z]{1,64}")
_WORD = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HANDLER = re.compile(rf"[^\s\x00-\x1f\x7f-\x9f]{{1,{HANDLER_LIMIT}}}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Source:
    """The commit a package was built from; unknown facts are None."""

    commit: str | None
    branch: str | None
    dirty: bool | None


@dataclass(frozen=True)
class FunctionFacts:
    """What the deploy half sets on the function besides its code.

    `bucket`, where the code goes through S3, may hold `#{Variable}` like environment values.
    `boto3` says where its boto3 comes from, `handler_file` which file of the function zip the
    handler is in. Those three are empty in manifests of older libraries.
    """

    name: str
    runtime: str
    architecture: str
    handler: str
    description: str
    environment: Mapping[str, str]
    tags: Mapping[str, str]
    bucket: str = ""
    boto3: str = ""
    handler_file: str = ""

    def templates(self) -> dict[str, str]:
        """Return every text that a deploy has to fill from variables."""
        return {**self.environment, BUCKET: self.bucket}


@dataclass(frozen=True)
class ZipFacts:
    """The function zip: its hashes, sizes in bytes and number of files.

    `code_sha256` is the base64 of the SHA-256 of the bytes, as Lambda reports it.
    """

    sha256: str
    code_sha256: str
    size: int
    unzipped_size: int
    files: int

    @classmethod
    def of(cls, data: bytes, unzipped_size: int, files: int) -> ZipFacts:
        """Return the facts of a function zip whose files are counted already."""
        digest = hashlib.sha256(data).digest()
        code_sha256 = base64.b64encode(digest).decode()
        return cls(digest.hex(), code_sha256, len(data), unzipped_size, files)

    def mismatch(self, found: ZipFacts) -> str:
        """Name the first fact that differs from those of the zip itself, or return ""."""
        listed, actual = asdict(self), asdict(found)
        wrong = next((name for name in listed if listed[name] != actual[name]), "")
        return wrong and f"{wrong} {actual[wrong]}, the manifest says {listed[wrong]}"


@dataclass(frozen=True)
class Dependency:
    """A locked dependency: its version and the hashes the lock accepts (`sha256:...`)."""

    name: str
    version: str
    hashes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """What a package holds and where it came from."""

    package_id: str
    version: str
    source: Source
    function: FunctionFacts
    function_zip: ZipFacts
    dependencies: tuple[Dependency, ...]
    tools: tuple[Dependency, ...]
    environments: Mapping[str, Mapping[str, str]]

    def to_json(self) -> bytes:
        """Return the manifest as sorted, indented JSON with a final newline."""
        document = {"schema": _SCHEMA, **asdict(self)}
        # Written as an older library reads it, which may have to rebuild the package.
        document["function"] = {
            key: fact for key, fact in asdict(self.function).items() if fact or key not in _LATER
        }
        return json_bytes(document)

    @classmethod
    def from_json(cls, data: bytes, *, where: str) -> Manifest:
        """Read a manifest; `where` names the file in errors."""
        try:
            document = parse_json(data, where)
        except PipelineError as error:
            raise _invalid(where, error.what) from error
        if not isinstance(document, dict):
            raise _invalid(where, "it is not an object")
        schema = document.get("schema")
        if type(schema) is not int or schema != _SCHEMA:
            shown = json.dumps(schema)[:40]
            what = f"the manifest has schema {shown}, this library reads {_SCHEMA}"
            raise PipelineError(where, what, _ITS_LIBRARY)
        try:
            manifest: Manifest = value_of(cls, document)
        except TypeError as error:
            raise _invalid(where, str(error)) from error
        # What is not read would be missing on the function.
        for fact in document["function"].keys() - asdict(manifest.function).keys():
            what = f"this library does not know what the manifest says of the function as {fact!r}"
            raise PipelineError(where, what, _ITS_LIBRARY)
        for problem in _problems(manifest):
            raise _invalid(where, problem)
        return manifest


def _invalid(where: str, why: str) -> PipelineError:
    what = f"this is not a build manifest: {why}"
    return PipelineError(where, what, "Build the package again.")


def _problems(manifest: Manifest) -> Iterator[str]:
    """Yield the texts that are not valid as the paths, arguments or names that they become."""
    yield from filter(
        None, (package_id_problem(manifest.package_id), package_version_problem(manifest.version))
    )
    function, commit = manifest.function, manifest.source.commit
    shapes = (
        ("function's name", function.name, LAMBDA_NAME),
        ("runtime", function.runtime, _WORD),
        ("architecture", function.architecture, _WORD),
        ("handler", function.handler, _HANDLER),
        ("commit", "0" if commit is None else commit, _COMMIT),
        *(("environment variable", name, _VARIABLE) for name in function.environment),
    )
    yield from (
        f"the {what} {value[:100]!r} is not valid"
        for what, value, shape in shapes
        if not shape.fullmatch(value)
    )
    for name in (manifest.source.branch or "", *manifest.environments):
        if _CONTROL.search(name):
            yield f"{name[:100]!r} holds a control character"
    texts = (*function.templates().values(), *function.tags, *function.tags.values())
    if any("\0" in text for text in (function.description, *texts)):
        yield "a text of the function holds a null character"


def json_bytes(document: Mapping[str, Any]) -> bytes:
    """Return a document as sorted, indented JSON with a final newline."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


# Annotations are compiled at each look.
_hints = cache(get_type_hints)


def value_of(kind: Any, document: Any, name: str = "it") -> Any:
    """Return a document of JSON as a value of a declared type: a class of values, or a part of one.

    What the class does not know is left out. Raises TypeError that names the part which is
    missing, or of another type.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and is_dataclass(kind) and isinstance(document, dict):
        for part in fields(kind):
            if part.name not in document and part.default is MISSING:
                raise TypeError(f"{name} has no {part.name!r}")
        given = {part: hint for part, hint in _hints(kind).items() if part in document}
        return kind(**{part: value_of(hint, document[part], part) for part, hint in given.items()})
    if origin is tuple and isinstance(document, list):
        return tuple(value_of(inner[0], item, name) for item in document)
    if origin is Mapping and isinstance(document, dict):
        return {key: value_of(inner[1], item, name) for key, item in document.items()}
    # JSON's true is a number to isinstance.
    if type(document) in (inner if origin is UnionType else (kind,)):
        return document
    raise TypeError(f"{name} is of another type")
