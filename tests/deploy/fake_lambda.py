"""A stand-in for Lambda: one function in memory that answers in the documented shapes."""

from __future__ import annotations

import base64
import copy
import io
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from botocore.exceptions import ClientError
from botocore.paginate import Paginator
from pipeline.deploy.observe import Observed, observe, published_versions, read_alias
from pipeline.deploy.plan import Plan, Wanted

from tests.deploy.deploy_support import ARN, NAME, code_sha256

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


def paginator(client: Any, method: str) -> Any:
    """Return botocore's own paginator for a method of something like a client."""
    tokens = {"input_token": "Marker", "output_token": "NextMarker", "result_key": "Any"}
    return Paginator(getattr(client, method), tokens, cast("Any", None))


def planned(fake: FakeLambda, wanted: Wanted, on: Observed | None = None) -> Plan:
    """Plan to bring the fake to what is wanted, on what it holds or held."""
    return Plan.between(
        on or observe(fake, NAME),
        wanted,
        alias=read_alias(fake, NAME),
        versions=published_versions(fake, NAME),
    )


Script = Callable[["FakeLambda"], None]


class Killed(BaseException):
    """The process that calls is gone."""


@dataclass
class FakeLambda:
    """A function in memory that answers in Lambda's documented shapes.

    It has revisions, merges nothing, and needs `busy_reads` reads until an update has settled.
    `versions` are what was published, by number; without `alias` there is no alias `live`,
    `aliases` are others, and `provisioned` the qualifiers with provisioned concurrency.
    `before` and `after` hold what happens around the next calls of a method: an error to raise, or
    what somebody else does meanwhile; `refuses` are answers to every call of one. `accepted` are
    the writes that took effect. An unknown parameter is a TypeError.
    """

    configuration: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)
    alias: dict[str, Any] | None = None
    aliases: list[dict[str, Any]] = field(default_factory=list)
    statements: list[dict[str, Any]] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)
    retries: list[dict[str, Any]] = field(default_factory=list)
    busy_reads: int = 1
    with_revisions: bool = True
    before: dict[str, list[BaseException | Script]] = field(default_factory=dict)
    after: dict[str, list[BaseException | Script]] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    outcome: dict[str, Any] = field(default_factory=dict)
    refuses: dict[str, Exception] = field(default_factory=dict)
    accepted: list[str] = field(default_factory=list)
    readable_tags: bool = True
    objects: dict[tuple[str, str], bytes] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    provisioned: list[str] = field(default_factory=list)
    reserved: int | None = None
    dies_at: int = -1
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
        fake.move("$LATEST")
        return fake

    def touch(self, **changes: Any) -> None:
        """Change the configuration as AWS or somebody else does: with a new revision."""
        self.configuration.update(changes)
        if self.with_revisions:
            self.configuration["RevisionId"] = f"revision-{next(self._revisions)}"

    def move(self, version: str, **weights: float) -> None:
        """Let the alias point there, as its stack makes it or somebody does: a new revision."""
        self.alias = {
            "AliasArn": f"{ARN}:live",
            "Name": "live",
            "FunctionVersion": version,
        }
        if self.with_revisions:
            self.alias["RevisionId"] = f"revision-{next(self._revisions)}"
        if weights:
            self.alias["RoutingConfig"] = {
                "AdditionalVersionWeights": {key.strip("v"): part for key, part in weights.items()}
            }

    def writes(self) -> list[str]:
        """Return the names of the calls that were not reads."""
        reads = ("get_", "list_", "invoke")
        return [name for name, _ in self.calls if not name.startswith(reads)]

    def get_function(self, *, FunctionName: str, Qualifier: str = "") -> dict[str, Any]:  # noqa: N803
        """Answer like GetFunction; an update settles after some reads."""
        self._enter("get_function", {"FunctionName": FunctionName})
        if Qualifier:
            self._happens(self.before, "get_function of a version")
            return {"Configuration": copy.deepcopy(self.versions[Qualifier]), "Code": {}}
        if self.configuration["LastUpdateStatus"] == "InProgress":
            self._reads += 1
            if self._reads > self.busy_reads:
                self.touch(**{"LastUpdateStatus": "Successful", **self.outcome})
        answer: dict[str, Any] = {"Configuration": self.configuration, "Code": {}}
        if self.reserved is not None:
            answer["Concurrency"] = {"ReservedConcurrentExecutions": self.reserved}
        if self.readable_tags:
            answer["Tags"] = self.tags
        answer = copy.deepcopy(answer)
        self._happens(self.after, "get_function")
        return answer

    def get_function_configuration(self, *, FunctionName: str) -> dict[str, Any]:  # noqa: N803
        """Answer like GetFunctionConfiguration."""
        self._enter("get_function_configuration", {"FunctionName": FunctionName})
        return copy.deepcopy(self.configuration)

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

    def update_function_code(
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

    def get_alias(self, *, FunctionName: str, Name: str) -> dict[str, Any]:  # noqa: N803
        """Answer like GetAlias."""
        self._enter("get_alias", {"FunctionName": FunctionName, "Name": Name})
        if self.alias is None:
            raise refusal("ResourceNotFoundException", f"Cannot find alias arn: {ARN}:{Name}")
        answer = copy.deepcopy(self.alias)
        self._happens(self.after, "get_alias")
        return answer

    def list_aliases(self, *, FunctionName: str) -> dict[str, Any]:  # noqa: N803
        """Answer like ListAliases."""
        self._enter("list_aliases", {"FunctionName": FunctionName})
        return {"Aliases": copy.deepcopy([*([self.alias] if self.alias else []), *self.aliases])}

    def get_account_settings(self) -> dict[str, Any]:
        """Answer like GetAccountSettings."""
        self._enter("get_account_settings", {})
        return {
            "AccountLimit": {"TotalCodeSize": 300 << 30},
            "AccountUsage": {"TotalCodeSize": 100 << 30, "FunctionCount": 1},
        }

    def delete_function(self, *, FunctionName: str, Qualifier: str) -> dict[str, Any]:  # noqa: N803
        """Answer like DeleteFunction of a version, which refuses one that an alias leads to."""
        self._enter("delete_function", {"FunctionName": FunctionName, "Qualifier": Qualifier})
        for one in [*([self.alias] if self.alias else []), *self.aliases]:
            weights = one.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
            if Qualifier not in (one["FunctionVersion"], *weights):
                continue
            raise refusal("ResourceConflictException", f"aliases: {Qualifier}", "DeleteFunction")
        del self.versions[Qualifier]
        self.accepted.append("delete_function")
        return {}

    def get_policy(self, *, FunctionName: str) -> dict[str, Any]:  # noqa: N803
        """Answer like GetPolicy."""
        self._enter("get_policy", {"FunctionName": FunctionName})
        if not self.statements:
            message = "The resource you requested does not exist."
            raise refusal("ResourceNotFoundException", message)
        return {"Policy": json.dumps({"Version": "2012-10-17", "Statement": self.statements})}

    def list_event_source_mappings(self, *, FunctionName: str) -> dict[str, Any]:  # noqa: N803
        """Answer like ListEventSourceMappings."""
        self._enter("list_event_source_mappings", {"FunctionName": FunctionName})
        return {"EventSourceMappings": copy.deepcopy(self.sources)}

    def list_function_event_invoke_configs(self, *, FunctionName: str) -> dict[str, Any]:  # noqa: N803
        """Answer like ListFunctionEventInvokeConfigs."""
        self._enter("list_function_event_invoke_configs", {"FunctionName": FunctionName})
        return {"FunctionEventInvokeConfigs": copy.deepcopy(self.retries)}

    def list_versions_by_function(
        self,
        *,
        FunctionName: str,  # noqa: N803
        Marker: str = "",  # noqa: N803
    ) -> dict[str, Any]:
        """Answer like ListVersionsByFunction, with two on a page."""
        self._enter("list_versions_by_function", {"FunctionName": FunctionName})
        start = int(Marker or 0)
        listed = [{**self.configuration, "Version": "$LATEST"}, *self.versions.values()]
        page = copy.deepcopy(listed[start : start + 2])
        more = {"NextMarker": str(start + 2)} if start + 2 < len(listed) else {}
        return {"Versions": page, **more}

    def publish_version(
        self,
        *,
        FunctionName: str,  # noqa: N803
        CodeSha256: str,  # noqa: N803
        RevisionId: str = "",  # noqa: N803
    ) -> dict[str, Any]:
        """Answer like PublishVersion: the last version again where nothing has changed since."""
        request = {"FunctionName": FunctionName, "RevisionId": RevisionId}
        self._enter("publish_version", request)
        self._compare(RevisionId, self.configuration)
        if CodeSha256 != self.configuration["CodeSha256"]:
            message = f"CodeSHA256 ({CodeSha256}) is different from current CodeSHA256 in $LATEST"
            raise refusal("InvalidParameterValueException", message)
        own = ("FunctionArn", "Version", "RevisionId", "LastModified", "State")
        settings = {key: one for key, one in self.configuration.items() if key not in own}
        last = list(self.versions)[-1:]
        number = str(int(last[0]) + 1) if last else "1"
        if last and {key: self.versions[last[0]].get(key) for key in settings} == settings:
            number = last[0]
        else:
            made = {**settings, "Version": number, "State": "Active"}
            made["LastModified"] = f"2026-11-24T10:00:{int(number):02}.000+0000"
            self.versions[number] = copy.deepcopy({**made, "FunctionArn": f"{ARN}:{number}"})
            self.touch()
        self.accepted.append("publish_version")
        self._happens(self.after, "publish_version")
        return copy.deepcopy(self.versions[number])

    def update_alias(
        self,
        *,
        FunctionName: str,  # noqa: N803
        Name: str,  # noqa: N803
        FunctionVersion: str,  # noqa: N803
        Description: str,  # noqa: N803
        RoutingConfig: dict[str, dict[str, float]],  # noqa: N803
        RevisionId: str = "",  # noqa: N803
    ) -> dict[str, Any]:
        """Answer like UpdateAlias; weights are replaced as a whole."""
        request = {"FunctionName": FunctionName, "Name": Name, "RevisionId": RevisionId}
        self._enter("update_alias", request)
        self._compare(RevisionId, self.alias or {})
        if FunctionVersion not in self.versions:
            raise refusal("ResourceNotFoundException", f"Function not found: {FunctionVersion}")
        weights = RoutingConfig["AdditionalVersionWeights"]
        self.move(FunctionVersion, **{f"v{key}": one for key, one in weights.items()})
        self.alias = {**(self.alias or {}), "Description": Description}
        self.accepted.append("update_alias")
        self._happens(self.after, "update_alias")
        return copy.deepcopy(self.alias or {})

    def get_paginator(self, method: str) -> Any:
        """Return what reads the pages of a method."""
        return paginator(self, method)

    def list_provisioned_concurrency_configs(
        self,
        *,
        FunctionName: str,  # noqa: N803
        Marker: str = "0",  # noqa: N803
    ) -> dict[str, Any]:
        """Answer like ListProvisionedConcurrencyConfigs, with one on a page."""
        self._enter("list_provisioned_concurrency_configs", {"FunctionName": FunctionName})
        found = [{"FunctionArn": f"{ARN}:{qualifier}"} for qualifier in self.provisioned]
        following = int(Marker) + 1
        more = {"NextMarker": str(following)} if following < len(found) else {}
        return {"ProvisionedConcurrencyConfigs": found[int(Marker) : following], **more}

    def invoke(
        self,
        *,
        FunctionName: str,  # noqa: N803
        Qualifier: str,  # noqa: N803
        Payload: bytes,  # noqa: N803
        LogType: str,  # noqa: N803
    ) -> dict[str, Any]:
        """Answer like Invoke; a version without an answer gives the event back."""
        self._enter("invoke", {"FunctionName": FunctionName, "Qualifier": Qualifier})
        assert LogType == "Tail"
        answer = self.answers.get(Qualifier, json.loads(Payload))
        log = base64.b64encode(b"START\nTraceback of it\nEND").decode()
        failed = {}
        if isinstance(answer, Exception):
            failed = {"FunctionError": "Unhandled"}
            answer = {"errorType": type(answer).__name__, "errorMessage": str(answer)}
        payload = io.BytesIO(json.dumps(answer).encode())
        return {"StatusCode": 200, "Payload": payload, "LogResult": log, **failed}

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
        self.accepted.append("tag_resource")
        self.tags.update(Tags)
        self._happens(self.after, "tag_resource")
        return {}

    def _update(self, name: str, request: dict[str, Any], settings: Any) -> dict[str, Any]:
        self._enter(name, request)
        if self.configuration["LastUpdateStatus"] == "InProgress":
            message = f"An update is in progress for resource: {ARN}"
            raise refusal("ResourceConflictException", message)
        self._compare(request["RevisionId"], self.configuration)
        self._reads = 0
        self.accepted.append(name)
        self.touch(LastUpdateStatus="InProgress", **settings)
        self._happens(self.after, name)
        return copy.deepcopy(self.configuration)

    def _compare(self, given: str, document: Mapping[str, Any]) -> None:
        if given and given != document.get("RevisionId"):
            message = "The RevisionId provided does not match the latest RevisionId."
            raise refusal("PreconditionFailedException", message)

    def _enter(self, name: str, request: dict[str, Any]) -> None:
        self.calls.append((name, request))
        if len(self.calls) == self.dies_at:
            raise Killed
        self._happens(self.before, name)
        if name in self.refuses:
            raise self.refuses[name]

    def _happens(self, planned: dict[str, list[BaseException | Script]], name: str) -> None:
        if planned.get(name):
            event = planned[name].pop(0)
            if isinstance(event, BaseException):
                raise event
            event(self)
