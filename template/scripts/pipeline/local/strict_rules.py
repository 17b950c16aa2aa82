"""What Lambda refuses of a function, in its own words: limits, enums, reserved names, bad zips.

Limits and sentences are those of the public API as of 2026-11-23; the list of runtimes comes
from the client library's model of the service.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping
from functools import cache
from typing import Any

import botocore.session

from ..values.lambda_limits import (
    DESCRIPTION_LIMIT,
    ENVIRONMENT_LIMIT,
    FUNCTION_NAME_LIMIT,
    HANDLER_LIMIT,
    RESERVED_VARIABLES,
    UNZIPPED_LIMIT,
    VARIABLE_NAME,
)

__all__ = ["REQUEST_LIMIT", "Refusal", "check_code", "check_settings", "invalid", "stale"]

REQUEST_LIMIT = 70_167_211
_RANGES = {"Timeout": (1, 900), "MemorySize": (128, 10240)}
_STORAGE = (512, 10240)
_LENGTHS = {"Description": DESCRIPTION_LIMIT, "Handler": HANDLER_LIMIT}
_NAME = re.compile(
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}(-gov)?-[a-z]+-\d{1}:)?(\d{12}:)?"
    r"(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?\Z"
)


class Refusal(Exception):  # noqa: N818 - AWS's answer, not our error
    """An error answer: HTTP status, AWS's code, and its message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message


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


def check_settings(body: Mapping[str, Any], *, creating: bool) -> None:
    """Refuse settings that CreateFunction or UpdateFunctionConfiguration would refuse."""
    if creating:
        _check_name(str(body.get("FunctionName", "")))
        if body.get("PackageType", "Zip") == "Zip" and not (
            body.get("Handler") and body.get("Runtime")
        ):
            raise invalid(
                "Runtime and Handler are mandatory parameters for functions created with "
                "deployment packages."
            )
    for key, (least, most) in _RANGES.items():
        _check_range(_field(key), body.get(key), least, most)
    _check_range(
        "ephemeralStorage.size", (body.get("EphemeralStorage") or {}).get("Size"), *_STORAGE
    )
    for key, most in _LENGTHS.items():
        value = str(body.get(key) or "")
        if len(value) > most:
            raise _violation(
                value, _field(key), f"Member must have length less than or equal to {most}"
            )
    if re.search(r"\s", str(body.get("Handler") or "")):
        raise _violation(
            str(body["Handler"]),
            "handler",
            r"Member must satisfy regular expression pattern: [^\s]+",
        )
    _check_runtime(body.get("Runtime"))
    _check_environment((body.get("Environment") or {}).get("Variables") or {})


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


def _check_name(name: str) -> None:
    if not _NAME.match(name):
        pattern = _NAME.pattern.removesuffix(r"\Z")
        raise _violation(
            name, "functionName", f"Member must satisfy regular expression pattern: {pattern}"
        )
    short = name.rsplit(":", 1)[-1]
    if len(short) > FUNCTION_NAME_LIMIT:
        limit = f"Member must have length less than or equal to {FUNCTION_NAME_LIMIT}"
        raise _violation(short, "functionName", limit)


def _check_range(field: str, value: Any, least: int, most: int) -> None:
    if value is None:
        return
    if value < least:
        limit = f"Member must have value greater than or equal to {least}"
        raise _violation(value, field, limit)
    if value > most:
        raise _violation(value, field, f"Member must have value less than or equal to {most}")


def _check_runtime(runtime: Any) -> None:
    known = _runtimes()
    if runtime is not None and runtime not in known:
        raise invalid(
            f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy "
            f"enum value set: [{', '.join(known)}] or be a valid ARN"
        )


def _check_environment(variables: Mapping[str, str]) -> None:
    bad = [
        key
        for key in variables
        if not VARIABLE_NAME.fullmatch(key) and key not in RESERVED_VARIABLES
    ]
    if bad:
        raise _violation(
            "{" + ", ".join(f"{key}=..." for key in bad) + "}",
            "environment.variables",
            "Map keys must satisfy constraint: [Member must satisfy regular expression pattern: "
            "[a-zA-Z]([a-zA-Z0-9_])+]",
        )
    reserved = sorted(key for key in variables if key in RESERVED_VARIABLES)
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


def _violation(value: Any, field: str, constraint: str) -> Refusal:
    message = (
        f"1 validation error detected: Value '{value}' at '{field}' failed to satisfy "
        f"constraint: {constraint}"
    )
    return Refusal(400, "ValidationException", message)


def _field(key: str) -> str:
    return key[0].lower() + key[1:]


@cache
def _runtimes() -> tuple[str, ...]:
    # A session of its own reads the model only: no credentials, no files of the user.
    model = botocore.session.Session().get_service_model("lambda")
    return tuple(model.shape_for("Runtime").metadata["enum"])
