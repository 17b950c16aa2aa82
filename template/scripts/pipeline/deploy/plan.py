"""The plan of a deploy: a list of steps, each a value, with no secret in what it shows.

A step names what it changes, its call with the rights that needs, and what holds when it is done.
Showing a plan, applying it and printing its policy read the same list. They know what a step can be
of (an object, the function, a version, the alias), and no step by its name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType
from typing import Any

from ..core.manifest import Manifest
from ..core.masking import MASK
from ..core.names import ALIAS, release_description
from ..core.templates import readable
from ..core.text import span
from .observe import Alias, Observed, differences
from .smoke import Smoke
from .traffic import Canary, Rollout
from .verdict import metric_queries

# The settings that UpdateFunctionConfiguration takes, by the names that people read.
_SETTINGS = {"runtime": "Runtime", "handler": "Handler", "description": "Description"}
# What a change of a tag is called, in front of its key.
TAG = "tag "
# The tags of a function that say which release it was deployed with.
PACKAGE_TAG, RELEASE_TAG, COMMIT_TAG = "pipeline:package", "pipeline:release", "pipeline:commit"
# An output of a deploy: how many percent of the calls go to its version.
WEIGHT = "Weight"
_SHORT = 12  # digits of a commit, in a description


@dataclass(frozen=True)
class Wanted:
    """What a package sets on a function. `shown` is what people may see of the environment."""

    runtime: str
    handler: str
    description: str
    architecture: str
    code_sha256: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    shown: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_manifest(
        cls,
        manifest: Manifest,
        environment: Mapping[str, str],
        release: str,
        plain: Iterable[str] = (),
    ) -> Wanted:
        """Take the manifest's facts; `environment` is its table with the variables filled in.

        `plain` are the names of variables whose values may be shown.
        """
        function = manifest.function
        commit = manifest.source.commit or "unknown"
        state = "-dirty" if manifest.source.dirty else ""
        return cls(
            runtime=function.runtime,
            handler=function.handler,
            description=release_description(
                manifest.version, f"{commit[:_SHORT]}{state}", function.description
            ),
            architecture=function.architecture,
            code_sha256=manifest.function_zip.code_sha256,
            environment=environment,
            shown=readable(function.environment, environment, plain),
            tags={
                **function.tags,
                PACKAGE_TAG: f"{manifest.package_id} {manifest.version}",
                RELEASE_TAG: release,
                COMMIT_TAG: f"{commit}{state}",
            },
        )


class Later(Enum):
    """What a request names that is put in when it is sent."""

    FUNCTION_ZIP = "the function zip"
    VERSION = "the version that was published"
    MOVED = "the release that it is, when it was deployed and by whom"
    MARK = "that a canary of it is under way, and since when"
    TAKEN_BACK = "that it was taken back, when and why"


class Of(Enum):
    """What a step changes or looks at, and what is read to prove it."""

    OBJECT = "an object in S3"
    FUNCTION = "the function"
    VERSION = "a new version of it"
    ALIAS = "the alias"
    ANSWER = "what the new version answers"
    VERDICT = "what its calls say"


@dataclass(frozen=True)
class Permission:
    """A right that the deploy's credentials need: an IAM action on the ARN of a resource."""

    action: str
    resource: str


@dataclass(frozen=True)
class Change:
    """One difference: what it is, how it is now, how it is planned. Never a secret."""

    what: str
    now: str
    planned: str

    def __str__(self) -> str:
        return f"{self.what}: {self.now or '(none)'} -> {self.planned or '(none)'}"


@dataclass(frozen=True)
class Call:
    """A call of boto3: service, method, parameters. The first of `permissions` is the call's own.

    With `revised` the service takes the RevisionId of what the call changes, and refuses a stale
    one; the executor adds the id.
    """

    service: str
    method: str
    request: Mapping[str, Any] = field(repr=False)
    permissions: tuple[Permission, ...]
    revised: bool = False


@dataclass(frozen=True)
class Step:
    """A change of the function, of what belongs to it, or what one needs.

    `sets` are fields of Observed, or of Alias, with the values that they have when the step is
    done, in `tags` ours alone; of an answer what is expected. `undo` puts back what was there
    before, where that can be done.
    """

    name: str
    changes: tuple[Change, ...]
    call: Call
    sets: Mapping[str, Any] = field(default_factory=dict, repr=False)
    undo: Call | None = None
    of: Of = Of.FUNCTION


@dataclass(frozen=True)
class Bucket:
    """Where in S3 a function zip goes on its way to Lambda."""

    name: str
    key: str

    def right(self, action: str, function: Observed) -> Permission:
        """Return the right to do that with the object, in the partition of the function."""
        partition = function.arn.split(":")[1]
        return Permission(action, f"arn:{partition}:s3:::{self.name}/{self.key}")


@dataclass(frozen=True)
class Plan:
    """What has to be done to a function, in this order, and what it was planned on.

    `alias` is None where the stack makes none. `made` is the version that holds already what is
    wanted, where one was published before. `canary` is None where all traffic moves at once.
    """

    observed: Observed
    wanted: Wanted
    steps: tuple[Step, ...]
    alias: Alias | None = None
    made: Observed | None = None
    canary: Canary | None = None

    @classmethod
    def between(
        cls,
        observed: Observed,
        wanted: Wanted,
        bucket: Bucket | None = None,
        *,
        alias: Alias | None = None,
        versions: Iterable[Observed] = (),
        smoke: Iterable[Smoke] = (),
        rollout: Rollout = Rollout(),  # noqa: B008 - frozen
    ) -> Plan:
        """Compare, and make a step of what differs; the code goes through `bucket` if there is one.

        What can be refused without touching the function comes first. Traffic moves when the
        version is there whole and has answered the `smoke` tests, as the `rollout` says. The tags
        say which version runs, so they come last.

        A version keeps what the stack owns too: it is the wanted one only if all of that is as in
        the function now. So a change of the stack reaches traffic with the next deploy, and the
        deploy of an earlier release moves the alias back to its version, without an upload.
        """
        versions = [*versions]
        made = _newest(observed, wanted, alias, versions)
        configure, upload = _configure(observed, wanted), _upload(observed, wanted, bucket)
        changes: tuple[Step | None, ...] = (
            _store(observed, wanted, bucket) if upload and bucket else None,
            configure,
            upload,
        )
        if alias and made:
            # Nothing calls the function but through its alias.
            changes = ()
        move = _move(observed, alias, made, Later.MOVED) if alias else None
        serves = bool(made and alias and made.version == alias.version)
        canary = Canary.of(rollout, alias, versions) if move and not serves else None
        # A canary that is under way has answered them.
        tried = serves or bool(made and alias and made.version in alias.weights)
        steps = (
            *changes,
            None if made else _publish(observed, wanted),
            *(() if tried or (made and not move) else (_try(observed, made, one) for one in smoke)),
            *(_canary(observed, alias, made, canary) if canary and alias else ()),
            move,
            _tag(observed, wanted),
        )
        return cls(observed, wanted, tuple(step for step in steps if step), alias, made, canary)

    @classmethod
    def back_to(
        cls,
        made: Observed,
        observed: Observed,
        alias: Alias,
        description: str | Later,
        tags: Mapping[str, str] = MappingProxyType({}),
    ) -> Plan:
        """Plan to let the alias point to a version that is there; all else but `tags` stays."""
        wanted = Wanted(
            made.runtime,
            made.handler,
            made.description,
            made.architecture,
            made.code_sha256,
            tags=tags,
        )
        steps = (_move(observed, alias, made, description), _tag(observed, wanted))
        return cls(observed, wanted, tuple(step for step in steps if step), alias, made)

    @property
    def changes(self) -> tuple[Change, ...]:
        """What the steps change, in their order."""
        return tuple(change for step in self.steps for change in step.changes)

    def permissions(self) -> tuple[Permission, ...]:
        """Return the rights that planning and applying need, and no more."""
        function = self.observed.arn
        actions = ["GetAlias", "GetFunction", "ListTags", "ListVersionsByFunction"]
        if self.alias:
            actions += ["GetPolicy", "ListFunctionEventInvokeConfigs"]
        reads = [Permission(f"lambda:{action}", function) for action in actions]
        if self.alias:
            # AWS allows it for all functions or for none.
            reads.append(Permission("lambda:ListEventSourceMappings", "*"))
        if self.canary:
            reads.append(Permission("lambda:ListProvisionedConcurrencyConfigs", function))
        if self.made and self.steps:
            reads.append(Permission("lambda:GetFunction", f"{function}:*"))
        if key := json.loads(self.observed.rest.get("KMSKeyArn", '""')):
            # Lambda reads and writes the environment with the caller's right to the key.
            reads.append(Permission("kms:Decrypt", key))
        calls = [call for step in self.steps for call in (step.call, step.undo) if call]
        return tuple(dict.fromkeys([*reads, *(p for call in calls for p in call.permissions)]))


@dataclass(frozen=True)
class Applied:
    """A deploy's end: the steps that were done, and what the service says now.

    `version` is the package's. `function` is the version of the function that was published for it,
    or the function itself in a dry run.
    """

    version: str
    environment: str
    plan: Plan
    function: Observed
    steps: tuple[Step, ...]


def _store(observed: Observed, wanted: Wanted, bucket: Bucket) -> Step:
    request = {
        "Bucket": bucket.name,
        "Key": bucket.key,
        "Body": Later.FUNCTION_ZIP,
        # Lambda's hash of the code is the same one: S3 takes no other bytes.
        "ChecksumSHA256": wanted.code_sha256,
    }
    right = bucket.right("s3:PutObject", observed)
    change = Change("object", "", f"s3://{bucket.name}/{bucket.key}")
    return Step("store", (change,), Call("s3", "put_object", request, (right,)), of=Of.OBJECT)


def _configure(observed: Observed, wanted: Wanted) -> Step | None:
    changes = [
        Change(what, getattr(observed, what), getattr(wanted, what))
        for what in _SETTINGS
        if getattr(observed, what) != getattr(wanted, what)
    ]
    sets: dict[str, Any] = {change.what: change.planned for change in changes}
    for key, value in wanted.environment.items():
        if observed.environment.get(key) != value:
            now = "(another value)" if key in observed.environment else ""
            changes.append(Change(f"environment {key}", now, wanted.shown.get(key, MASK)))
            # Lambda replaces the environment as a whole, so the keys of others are sent along.
            sets["environment"] = {**observed.environment, **wanted.environment}
    before = {field: getattr(observed, field) for field in sets}
    if not changes:
        return None
    call, undo = _configuration(observed, sets), _configuration(observed, before)
    return Step("configure", tuple(changes), call, sets, undo)


def _configuration(observed: Observed, sets: Mapping[str, Any]) -> Call:
    request = {_SETTINGS[name]: value for name, value in sets.items() if name in _SETTINGS}
    if "environment" in sets:
        request["Environment"] = {"Variables": dict(sets["environment"])}
    return Call(
        "lambda",
        "update_function_configuration",
        {"FunctionName": observed.name, **request},
        (Permission("lambda:UpdateFunctionConfiguration", observed.arn),),
        revised=True,
    )


def _upload(observed: Observed, wanted: Wanted, bucket: Bucket | None) -> Step | None:
    sets = {"code_sha256": wanted.code_sha256, "architecture": wanted.architecture}
    changes = tuple(
        Change(what, getattr(observed, field), getattr(wanted, field))
        for field, what in (("code_sha256", "code"), ("architecture", "architecture"))
        if getattr(observed, field) != getattr(wanted, field)
    )
    if not changes:
        return None
    rights = [Permission("lambda:UpdateFunctionCode", observed.arn)]
    code: dict[str, Any] = {"ZipFile": Later.FUNCTION_ZIP}
    if bucket:
        code = {"S3Bucket": bucket.name, "S3Key": bucket.key}
        rights.append(bucket.right("s3:GetObject", observed))
    # The architecture is always sent: left out, it would fall back to x86_64.
    request = {"FunctionName": observed.name, **code, "Architectures": [wanted.architecture]}
    call = Call("lambda", "update_function_code", request, tuple(rights), revised=True)
    return Step("upload", changes, call, sets)


def _newest(
    observed: Observed, wanted: Wanted, alias: Alias | None, versions: Iterable[Observed]
) -> Observed | None:
    """Return the version that is what the function will be: the one that serves, or the newest."""
    target = replace(
        observed,
        runtime=wanted.runtime,
        handler=wanted.handler,
        description=wanted.description,
        architecture=wanted.architecture,
        code_sha256=wanted.code_sha256,
        environment={**observed.environment, **wanted.environment},
    )
    found = [version for version in versions if not differences(target, version)]
    serving = alias.version if alias else ""
    return max(found, key=lambda one: (one.version == serving, int(one.version)), default=None)


def _publish(observed: Observed, wanted: Wanted) -> Step:
    request = {"FunctionName": observed.name, "CodeSha256": wanted.code_sha256}
    rights = (
        Permission("lambda:PublishVersion", observed.arn),
        Permission("lambda:GetFunction", f"{observed.arn}:*"),
    )
    call = Call("lambda", "publish_version", request, rights, revised=True)
    return Step("publish", (Change("version", "", "a new one"),), call, of=Of.VERSION)


def _move(
    observed: Observed, alias: Alias, made: Observed | None, description: str | Later
) -> Step | None:
    if made and alias.version == made.version and not alias.weights:
        return None
    version = made.version if made else Later.VERSION
    planned = f"version {made.version}" if made else "the new version"
    return Step(
        "alias",
        (Change(ALIAS, str(alias), planned),),
        _routing(observed, version, {}, description),
        {"version": version, "weights": {}, "description": description},
        of=Of.ALIAS,
    )


def _routing(observed: Observed, version: object, weights: Any, description: object) -> Call:
    # Weights that are left out would stay.
    request = {
        "FunctionName": observed.name,
        "Name": ALIAS,
        "FunctionVersion": version,
        "Description": description,
        "RoutingConfig": {"AdditionalVersionWeights": weights},
    }
    right = Permission("lambda:UpdateAlias", observed.arn)
    return Call("lambda", "update_alias", request, (right,), revised=True)


def _try(observed: Observed, made: Observed | None, smoke: Smoke) -> Step:
    request = {
        "FunctionName": observed.name,
        "Qualifier": made.version if made else Later.VERSION,
        "Payload": smoke.event,
        "LogType": "Tail",
    }
    right = Permission("lambda:InvokeFunction", f"{observed.arn}:*")
    sets = {"name": smoke.name, "answer": smoke.expected}
    return Step("smoke", (), Call("lambda", "invoke", request, (right,)), sets, of=Of.ANSWER)


def _canary(
    observed: Observed, alias: Alias, made: Observed | None, canary: Canary
) -> Iterator[Step]:
    """Give a part of the calls to the version, unless it has it already, and judge by them."""
    version = made.version if made else Later.VERSION
    percent = canary.rollout.strategy.percent
    if not (made and canary.since and made.version in alias.weights):
        weights = {version: round(percent / 100, 4)}
        length = f" for {span(canary.rollout.strategy.seconds)}"
        planned = f"version {made.version}" if made else "the new version"
        yield Step(
            "canary",
            (
                Change(
                    ALIAS, str(alias), f"version {alias.version}, {percent:g}% to {planned}{length}"
                ),
            ),
            _routing(observed, alias.version, weights, Later.MARK),
            {"version": alias.version, "weights": weights, "description": Later.MARK},
            of=Of.ALIAS,
        )
    # The executor adds from when to when.
    seconds = canary.rollout.strategy.seconds
    queries = metric_queries(observed.name, version, alias.version, seconds)
    rights = [Permission("cloudwatch:GetMetricData", "*")]
    if canary.rollout.alarms:
        rights.append(Permission("cloudwatch:DescribeAlarms", "*"))
    yield Step(
        "verdict",
        (),
        Call("cloudwatch", "get_metric_data", {"MetricDataQueries": queries}, tuple(rights)),
        {"version": alias.version, "weights": {}, "description": Later.TAKEN_BACK},
        _routing(observed, alias.version, {}, Later.TAKEN_BACK),
        of=Of.VERDICT,
    )


def _tag(observed: Observed, wanted: Wanted) -> Step | None:
    there = observed.tags or {}
    tags = {key: value for key, value in wanted.tags.items() if there.get(key) != value}
    if not tags:
        return None
    changes = tuple(Change(f"{TAG}{key}", there.get(key, ""), tags[key]) for key in tags)
    right = Permission("lambda:TagResource", observed.arn)
    call = Call("lambda", "tag_resource", {"Resource": observed.arn, "Tags": tags}, (right,))
    return Step("tag", changes, call, {"tags": tags})
