"""What the deploy tests share: a package, a stand-in for Lambda's answers, and a clock."""

from __future__ import annotations

import base64
import copy
import hashlib
import io
import itertools
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from pipeline.aws.function import Wait
from pipeline.engines.client import client_files
from pipeline.engines.stage import deploy_half
from pipeline.report.events import Event, Reporter
from pipeline.values.manifest import FunctionFacts, Manifest, Source, ZipFacts

SCRIPTS = Path(__file__).resolve().parents[2] / "template" / "scripts"
NAME = "CI-Greeter"
ARN = f"arn:aws:lambda:eu-west-1:123456789012:function:{NAME}"
COMMIT = "3f2c1ab" + "0" * 33

# HTTP statuses of Lambda's errors: botocore's service model, 2015-03-31.
_STATUS = {
    "AccessDeniedException": 403,
    "BadDigest": 400,
    "CodeStorageExceededException": 400,
    "InvalidParameterValueException": 400,
    "NoSuchBucket": 404,
    "PreconditionFailedException": 412,
    "ResourceConflictException": 409,
    "ResourceNotFoundException": 404,
    "ServiceException": 500,
    "TooManyRequestsException": 429,
    "UnrecognizedClientException": 403,
}


def pythons() -> list[str]:
    """Return this Python's base, and an installed Python 3.10 where there is one."""
    found = [str(getattr(sys, "_base_executable", sys.executable))]
    beside = [str(path) for path in Path(found[0]).parents[2].glob("3.10*/bin/python3.10")]
    for candidate in (*beside, *filter(None, [shutil.which("python3.10")])):
        # What is first on PATH may be a version manager's stand-in for a Python it lacks.
        if (
            subprocess.run([candidate, "--version"], capture_output=True, check=False).returncode
            == 0
        ):
            return [*found, candidate]
    return found


def function_zip(text: str = "def handle(event, context):\n    return event\n") -> bytes:
    """Return a small function zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("app.py", (1980, 1, 1, 0, 0, 0))
        info.external_attr = 0o644 << 16
        archive.writestr(info, text)
    return buffer.getvalue()


def zip_padded(size: int) -> bytes:
    """Return a function zip with that many bytes more, which do not shrink."""
    buffer = io.BytesIO(function_zip())
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("padding.bin", bytes(size))
    return buffer.getvalue()


def code_sha256(data: bytes) -> str:
    """Return the hash as Lambda reports it."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def manifest(code: bytes, **changes: Any) -> Manifest:
    """Return the manifest of a package with that function zip; `changes` are the function's."""
    facts: dict[str, Any] = {
        "name": "Greeter",
        "runtime": "python3.13",
        "architecture": "arm64",
        "handler": "app.handle",
        "description": "Greets",
        "environment": {"GREETING": "#{Greeting}", "LEVEL": "info"},
        "tags": {"team": "web"},
    }
    environments = changes.pop("environments", {"CI": {}})
    return Manifest(
        package_id="Acme.Greeter",
        version="2.0.7",
        source=Source(COMMIT, "main", dirty=False),
        function=FunctionFacts(**{**facts, **changes}),
        function_zip=ZipFacts(
            hashlib.sha256(code).hexdigest(), code_sha256(code), len(code), 100, 1
        ),
        dependencies=(),
        tools=(),
        environments=environments,
    )


def write_package(folder: Path, facts: Manifest, code: bytes) -> Path:
    """Write a package's data files, without deploy script and library."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "build.json").write_bytes(facts.to_json())
    (folder / "function.zip").write_bytes(code)
    return folder


def write_whole_package(folder: Path, facts: Manifest, code: bytes) -> Path:
    """Write a package as it lies on a worker: with script, deploy half and client."""
    files = deploy_half(SCRIPTS)
    files += [(f"client/{name}", data) for name, data in client_files()]
    for name, data in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return write_package(folder, facts, code)


def octopus_variables(**changes: str) -> dict[str, str]:
    """Return the variables of a deployment; underscores in names stand for dots."""
    given = {name.replace("_", "."): value for name, value in changes.items()}
    return {
        "Octopus.Environment.Name": "CI",
        "Octopus.Release.Number": "2.0.7",
        "AWS.Deployment.Key": "testing-key",
        "AWS.Deployment.Secret": "testing-secret",
        "AWS.Deployment.Region": "eu-west-1",
        "Greeting": "hello",
        **given,
    }


def refusal(code: str, message: str, operation: str = "UpdateFunctionCode") -> ClientError:
    """Return the error that botocore makes of an answer of Lambda."""
    return ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {
                "HTTPStatusCode": _STATUS[code],
                "RequestId": "",
                "HostId": "",
                "HTTPHeaders": {},
                "RetryAttempts": 0,
            },
        },
        operation,
    )


@dataclass
class Clock:
    """A clock that only sleeping moves."""

    seconds: float = 0.0

    def wait(self, ceiling: float = 30.0) -> Wait:
        """Return how to wait by this clock."""
        return Wait(self._sleep, lambda: self.seconds, interval=1.0, ceiling=ceiling)

    def _sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class Recorder:
    """A sink that keeps events."""

    events: list[Event] = field(default_factory=list)

    @property
    def reporter(self) -> Reporter:
        """Return a reporter that ends here."""
        return Reporter(self.events.append)

    def of(self, kind: type) -> list[Any]:
        """Return the events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]


Script = Callable[["FakeLambda"], None]


@dataclass
class FakeLambda:
    """A function in memory that answers in Lambda's documented shapes.

    It has revisions, merges nothing, and needs `busy_reads` reads until an update has settled.
    `before` holds what happens before the next call of a method: an error to raise, or what
    somebody else does meanwhile. An unknown parameter is a TypeError.
    """

    configuration: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    busy_reads: int = 1
    with_revisions: bool = True
    before: dict[str, list[Exception | Script]] = field(default_factory=dict)
    after: dict[str, list[Exception | Script]] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    outcome: dict[str, Any] = field(default_factory=dict)
    objects: dict[tuple[str, str], bytes] = field(default_factory=dict)
    _reads: int = 0
    _revisions: Any = field(default_factory=lambda: itertools.count(1))

    @classmethod
    def holding(cls, code: bytes, **changes: Any) -> FakeLambda:
        """Return a function as its stack made it."""
        configuration = {
            "FunctionName": NAME,
            "FunctionArn": ARN,
            "Runtime": "python3.12",
            "Handler": "placeholder.handle",
            "Description": "",
            "Architectures": ["x86_64"],
            "Timeout": 30,
            "MemorySize": 256,
            "Role": "arn:aws:iam::123456789012:role/greeter",
            "CodeSha256": code_sha256(code),
            "PackageType": "Zip",
            "State": "Active",
            "LastUpdateStatus": "Successful",
            "LastModified": "2026-11-23T10:00:00.000+0000",
            "Environment": {"Variables": {"OWNED_BY_STACK": "42"}},
        }
        fake = cls({**configuration, **changes})
        fake.touch()
        return fake

    def touch(self, **changes: Any) -> None:
        """Change the configuration as AWS or somebody else does: with a new revision."""
        self.configuration.update(changes)
        if self.with_revisions:
            self.configuration["RevisionId"] = f"revision-{next(self._revisions)}"

    def writes(self) -> list[str]:
        """Return the names of the calls that were not reads."""
        return [name for name, _ in self.calls if name != "get_function"]

    def get_function(self, *, FunctionName: str) -> dict[str, Any]:  # noqa: N803
        """Answer like GetFunction; an update settles after some reads."""
        self._enter("get_function", {"FunctionName": FunctionName})
        if self.configuration["LastUpdateStatus"] == "InProgress":
            self._reads += 1
            if self._reads > self.busy_reads:
                self.touch(**{"LastUpdateStatus": "Successful", **self.outcome})
        answer = {"Configuration": self.configuration, "Code": {}, "Tags": self.tags}
        return copy.deepcopy(answer)

    def update_function_configuration(
        self,
        *,
        FunctionName: str,  # noqa: N803
        RevisionId: str = "",  # noqa: N803
        **settings: Any,
    ) -> dict[str, Any]:
        """Answer like UpdateFunctionConfiguration, which replaces Environment as a whole."""
        request = {"FunctionName": FunctionName, "RevisionId": RevisionId, **settings}
        unknown = set(settings) - {"Runtime", "Handler", "Description", "Environment"}
        if unknown:
            raise TypeError(unknown)
        return self._update("update_function_configuration", request, settings)

    def update_function_code(  # noqa: PLR0913 - the arguments are boto3's
        self,
        *,
        FunctionName: str,  # noqa: N803
        Architectures: list[str],  # noqa: N803
        ZipFile: bytes = b"",  # noqa: N803
        S3Bucket: str = "",  # noqa: N803
        S3Key: str = "",  # noqa: N803
        RevisionId: str = "",  # noqa: N803
    ) -> dict[str, Any]:
        """Answer like UpdateFunctionCode."""
        ZipFile = ZipFile or self.objects[S3Bucket, S3Key]  # noqa: N806
        request = {"FunctionName": FunctionName, "RevisionId": RevisionId}
        settings = {"CodeSha256": code_sha256(ZipFile), "Architectures": Architectures}
        return self._update("update_function_code", {**request, **settings}, settings)

    def put_object(
        self,
        *,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        Body: bytes,  # noqa: N803
        ChecksumSHA256: str,  # noqa: N803
    ) -> dict[str, Any]:
        """Answer like S3's PutObject, which compares the checksum."""
        self._enter("put_object", {"Bucket": Bucket, "Key": Key})
        if ChecksumSHA256 != code_sha256(Body):
            raise refusal("BadDigest", "The SHA256 you specified did not match.", "PutObject")
        self.objects[Bucket, Key] = Body
        return {}

    def tag_resource(self, *, Resource: str, Tags: Mapping[str, str]) -> dict[str, Any]:  # noqa: N803
        """Answer like TagResource."""
        self._enter("tag_resource", {"Resource": Resource, "Tags": dict(Tags)})
        self.tags.update(Tags)
        return {}

    def _update(self, name: str, request: dict[str, Any], settings: Any) -> dict[str, Any]:
        self._enter(name, request)
        if self.configuration["LastUpdateStatus"] == "InProgress":
            message = f"An update is in progress for resource: {ARN}"
            raise refusal("ResourceConflictException", message)
        given = request["RevisionId"]
        if given and given != self.configuration.get("RevisionId"):
            message = "The RevisionId provided does not match the latest RevisionId."
            raise refusal("PreconditionFailedException", message)
        self._reads = 0
        self.touch(LastUpdateStatus="InProgress", **settings)
        self._happens(self.after, name)
        return copy.deepcopy(self.configuration)

    def _enter(self, name: str, request: dict[str, Any]) -> None:
        self.calls.append((name, request))
        self._happens(self.before, name)

    def _happens(self, planned: dict[str, list[Exception | Script]], name: str) -> None:
        if planned.get(name):
            event = planned[name].pop(0)
            if isinstance(event, Exception):
                raise event
            event(self)


def as_json(value: str) -> Any:
    """Return a JSON text as a value."""
    return json.loads(value)
