"""What Lambda refuses of a call's parameters, in its own words.

Lengths, ranges, patterns and enums are those of the client library's model of the service. What the
model allows to other kinds of functions only, and what it does not know, are in this file: limits
and sentences of the public API as of 2026-11-23.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ServiceModel, Shape
from moto.awslambda.exceptions import LambdaClientError

from ..core.lambda_limits import (
    ENVIRONMENT_LIMIT,
    FUNCTION_NAME_LIMIT,
    RESERVED_VARIABLES,
    UNZIPPED_LIMIT,
)

LATEST = "$LATEST"
REQUEST_LIMIT = 70_167_211
# What two versions must have in common to share an alias; AWS's sentence for it is not known.
_SHARED = {"Role": "execution role", "DeadLetterConfig": "dead-letter configuration"}
# By shape: managed instances may have more; the runtime has a sentence of its own.
_OVERRIDES: dict[str, dict[str, Any]] = {
    "Timeout": {"max": 900},
    "MemorySize": {"max": 10240},
    "EphemeralStorageSize": {"max": 10240},
    "Runtime": {"enum": ()},
}
_NUMBERS: dict[str, type | tuple[type, ...]] = {
    "integer": int,
    "long": int,
    "double": (int, float),
}
_TYPES = {**_NUMBERS, "string": str, "list": list, "map": dict, "structure": dict}
_JAVA_CLASSES = {r"\p{L}": r"\w", r"\p{Z}": r"\s", r"\p{N}": r"\d"}


class Refusal(LambdaClientError):  # noqa: N818 - AWS's answer, not our error
    """An error answer: HTTP status, AWS's code, and its message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = status


def invalid(message: str) -> Refusal:
    """Return Lambda's usual refusal."""
    return Refusal(400, "InvalidParameterValueException", message)


def stale() -> Refusal:
    """Return the refusal of a RevisionId that is not the latest."""
    message = (
        "The Revision Id provided does not match the latest Revision Id. "
        "Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
    )
    return Refusal(412, "PreconditionFailedException", message)


def check_parameters(operation: str, body: Mapping[str, Any]) -> None:
    """Refuse the body of a call that does not fit the service's model; name all that does not."""
    shape = _model().operation_model(operation).input_shape
    found = [*_violations(shape, body, "")]
    if found:
        errors = "error" if len(found) == 1 else "errors"
        message = f"{len(found)} validation {errors} detected: {'; '.join(found)}"
        raise Refusal(400, "ValidationException", message)


def check_settings(body: Mapping[str, Any], *, creating: bool) -> None:
    """Refuse settings that fit the model and that Lambda refuses all the same."""
    short = str(body.get("FunctionName", "")).rsplit(":", 1)[-1]
    if creating and len(short) > FUNCTION_NAME_LIMIT:
        raise Refusal(
            400,
            "ValidationException",
            f"1 validation error detected: Value '{short}' at 'functionName' failed to satisfy "
            f"constraint: Member must have length less than or equal to {FUNCTION_NAME_LIMIT}",
        )
    is_zip = body.get("PackageType", "Zip") == "Zip"
    if creating and is_zip and not (body.get("Handler") and body.get("Runtime")):
        raise invalid(
            "Runtime and Handler are mandatory parameters for functions created with "
            "deployment packages."
        )
    runtime, known = body.get("Runtime"), _model().shape_for("Runtime").metadata["enum"]
    if runtime is not None and runtime not in known:
        raise invalid(
            f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy "
            f"enum value set: [{', '.join(known)}] or be a valid ARN"
        )
    _check_environment((body.get("Environment") or {}).get("Variables") or {})


def check_weights(
    version: str, share: Mapping[str, float], settings: Mapping[str, Mapping[str, Any]]
) -> None:
    """Refuse an alias on `version` that gives `share` of its calls to others.

    `settings` are the configurations of all of these versions.
    """
    if len(share) > 1:
        raise invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
    for other in share:
        if version == LATEST:
            raise invalid("$LATEST is not supported for an alias pointing to more than 1 version")
        if other == version:
            raise invalid(
                f"Invalid function version {other}. Function version {other} is already included "
                "in routing configuration."
            )
        for key, what in _SHARED.items():
            if settings[other].get(key) != settings[version].get(key):
                raise invalid(
                    f"Versions {version} and {other} have not the same {what}: an alias cannot "
                    "point to both."
                )


def check_code(code: bytes) -> None:
    """Refuse bytes that are not a zip file, or one that is too large unzipped."""
    try:
        with zipfile.ZipFile(io.BytesIO(code)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
            count = len(archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise invalid(
            "Could not unzip uploaded file. Please check your file, then try to upload again."
        ) from error
    if not count:
        raise invalid("Uploaded file must be a non-empty zip")
    if size > UNZIPPED_LIMIT:
        raise invalid(f"Unzipped size must be smaller than {UNZIPPED_LIMIT} bytes")


def _check_environment(variables: Mapping[str, str]) -> None:
    reserved = sorted(RESERVED_VARIABLES.intersection(variables))
    if reserved:
        raise invalid(
            "Lambda was unable to configure your environment variables because the environment "
            "variables you have provided contains reserved keys that are currently not supported "
            f"for modification. Reserved keys used in this request: {', '.join(reserved)}"
        )
    measured = json.dumps(dict(variables), separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) > ENVIRONMENT_LIMIT:
        raise invalid(
            "Lambda was unable to configure your environment variables because the environment "
            "variables you have provided exceeded the 4KB limit. "
            f"String measured: {measured[:200]}..."
        )


def _violations(shape: Any, value: Any, path: str) -> Iterator[str]:
    """Say what is wrong with a value, by the shape that the model gives it."""
    fits = isinstance(value, _TYPES.get(shape.type_name, object))
    if not fits:
        message = f"The value at '{path}' can not be converted to the type {shape.type_name}"
        raise Refusal(400, "SerializationException", message)
    for text, holds in _constraints(shape):
        if not holds(value):
            yield _violation(shape, value, path, text)
    if shape.type_name == "structure":
        yield from _member_violations(shape, value, path)
    for what, inner, items in _items(shape, value):
        if inner.type_name == "structure":
            for number, item in enumerate(items, 1):
                yield from _violations(inner, item, f"{path}.{number}.member")
        elif any([*_violations(inner, item, path)] for item in items):
            texts = ", ".join(text for text, _ in _constraints(inner))
            yield _violation(shape, value, path, f"{what} must satisfy constraint: [{texts}]")


def _member_violations(shape: Any, value: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, member in shape.members.items():
        inside = f"{path}.{name[0].lower()}{name[1:]}".lstrip(".")
        if "location" in member.serialization:
            continue  # in the address, not in the body
        if value.get(name) is not None:
            yield from _violations(member, value[name], inside)
        elif name in shape.required_members:
            yield _violation(member, None, inside, "Member must not be null")


def _items(shape: Any, value: Any) -> list[tuple[str, Any, Iterable[Any]]]:
    if shape.type_name == "list":
        return [("Member", shape.member, value)]
    if shape.type_name == "map":
        return [("Map keys", shape.key, value), ("Map value", shape.value, value.values())]
    return []


def _constraints(shape: Shape) -> Iterator[tuple[str, Callable[[Any], bool]]]:
    facts = {**shape.metadata, **_OVERRIDES.get(shape.name, {})}
    is_number = shape.type_name in _NUMBERS
    what = "value" if is_number else "length"
    measure: Callable[[Any], float] = float if is_number else len
    if "max" in facts:
        text = f"Member must have {what} less than or equal to {facts['max']}"
        yield text, lambda value: measure(value) <= facts["max"]
    if "min" in facts:
        text = f"Member must have {what} greater than or equal to {facts['min']}"
        yield text, lambda value: measure(value) >= facts["min"]
    if pattern := facts.get("pattern"):
        text = f"Member must satisfy regular expression pattern: {pattern}"
        yield text, lambda value: _pattern(pattern).fullmatch(value) is not None
    if enum := facts.get("enum"):
        text = f"Member must satisfy enum value set: [{', '.join(enum)}]"
        yield text, lambda value: value in enum


def _violation(shape: Shape, value: Any, path: str, constraint: str) -> str:
    shown = "Value null" if value is None else f"Value '{_java(value)}'"
    if shape.metadata.get("sensitive"):
        shown = "Value"
    return f"{shown} at '{path}' failed to satisfy constraint: {constraint}"


def _java(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={_java(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_java, value)) + "]"
    return str(value)


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """Compile a pattern of the model, which are Java's."""
    for java, ours in _JAVA_CLASSES.items():
        text = text.replace(java, ours)
    return re.compile(text)


@cache
def _model() -> ServiceModel:
    # A session of its own reads the model only: no credentials, no files of the user.
    return botocore.session.Session().get_service_model("lambda")
