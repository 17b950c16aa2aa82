"""Reading a Lambda function, and waiting until it has settled. Nothing here writes."""

from __future__ import annotations

import contextlib
import json
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import Interrupted, PipelineError
from ..core.events import Stage
from ..core.names import ALIAS, LATEST, version_name
from .aws_errors import Missing, ask, explained_errors, hint, pages

# What the stack owns. Compared to notice somebody else's change, never written.
_STACK_OWNS = (
    "Role", "Timeout", "MemorySize", "EphemeralStorage", "VpcConfig", "DeadLetterConfig",
    "Layers", "FileSystemConfigs", "KMSKeyArn", "TracingConfig", "SnapStart", "LoggingConfig",
)  # fmt: skip
_COMPARED = ("runtime", "handler", "description", "architecture", "code_sha256")
_AFTER_FAILURE = {
    True: "Delete it and have its stack make it again.",
    False: "Correct the cause and deploy again: that publishes another one.",
}
_READY_STATES = ("Active", "Inactive")
# How long what is under way may still take when somebody asks to stop.
_GRACE_SECONDS = 10.0
_FIRST_PAUSE = 0.125  # of the interval; each pause is twice as long, up to all of it


@dataclass(frozen=True)
class Observed:
    """What Lambda says of a function, or of a version of it, at one moment.

    `rest` holds the settings that the stack owns (memory, timeout, role ...) as JSON texts:
    they are compared, never written. `environment` may hold secrets of others. `tags` is None
    where they may not be read. `revision_id` is empty where the service gives none. `version` is
    the number of a published version, or `$LATEST`. `snap_start` says how far that is where it is
    wanted: `On` when a version is ready. `reserved` is the concurrency reserved for the function.
    """

    name: str
    arn: str
    runtime: str
    handler: str
    description: str
    architecture: str
    code_sha256: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    tags: Mapping[str, str] | None = field(default_factory=dict)
    rest: Mapping[str, str] = field(default_factory=dict)
    revision_id: str = ""
    modified: str = ""
    state: str = "Active"
    state_reason: str = ""
    update: str = "Successful"
    update_reason: str = ""
    version: str = LATEST
    snap_start: str = ""
    reserved: int | None = None

    @property
    def is_ready(self) -> bool:
        """Tell whether it can be called, and no update of it is under way."""
        if self.state not in _READY_STATES or self.update == "InProgress":
            return False
        # The snapshot of an idle version is made when it is called.
        has_snapshot = self.version != LATEST and self.state == "Active"
        return not has_snapshot or self.snap_start in ("", "On")

    @property
    def reason(self) -> str:
        """AWS's reason why it is not ready."""
        return self.update_reason if self.state in _READY_STATES else self.state_reason

    @property
    def status(self) -> str:
        """How AWS calls its state, with the reason."""
        status = f"State {self.state}, LastUpdateStatus {self.update}"
        if self.snap_start and self.version != LATEST:
            status += f", SnapStart OptimizationStatus {self.snap_start}"
        return f"{status} ({self.reason})" if self.reason else status


@dataclass(frozen=True)
class Alias:
    """Where the alias points: to `version`, and for a part of the calls to those of `weights`.

    `description` says which release moved it there, or who took one back and why.
    """

    arn: str
    version: str
    weights: Mapping[str, float] = field(default_factory=dict)
    description: str = ""
    revision_id: str = ""

    def __str__(self) -> str:
        parts = (f"{100 * part:g}% to {version_name(one)}" for one, part in self.weights.items())
        return ", ".join([version_name(self.version), *parts])


@dataclass(frozen=True)
class Wait:
    """How to wait: `sleep` and the monotonic clock `now`, both in seconds, and a ceiling.

    `jitter` gives numbers from 0 to 1: deploys that start together do not keep asking together.
    `stopped` tells whether somebody has asked to stop.
    """

    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic
    interval: float = 1.0
    ceiling: float = 300.0
    jitter: Callable[[], float] = random.random
    stopped: Callable[[], bool] = lambda: False

    def pause(self, part: float = 1.0, most: float = math.inf) -> None:
        """Sleep for half to one and a half of a part of the interval, at most `most` seconds."""
        self.sleep(min(most, part * self.interval * (0.5 + self.jitter())))


def observe(client: Any, name: str, version: str = LATEST) -> Observed:
    """Read a function, or one of its versions.

    Raises PipelineError when it is not there or cannot be deployed to.
    """
    configuration, tags = _read(client, name, version)
    if "Environment" not in configuration:
        # So answers AWS for a function without variables, and so does an answer that lacks a part.
        # Writing on the second would drop the variables of others, so it is asked once more.
        configuration, tags = _read(client, name, version)
    return _observed(name, configuration, tags)


def read_alias(client: Any, name: str) -> Alias | None:
    """Read the function's alias `live`; None where its stack makes none."""
    try:
        answer = ask(client, "lambda", "get_alias", name, FunctionName=name, Name=ALIAS)
    except Missing:
        return None
    return Alias(
        arn=_text(answer, "AliasArn"),
        version=_text(answer, "FunctionVersion"),
        weights=(answer.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {},
        description=_text(answer, "Description", ""),
        revision_id=_text(answer, "RevisionId", ""),
    )


def published_versions(client: Any, name: str) -> Iterator[Observed]:
    """Read all published versions; one whose environment cannot be read is passed over."""
    for configuration in listed(client, "list_versions_by_function", "Versions", name):
        # Its key may be gone; and whatever cannot be compared is none to go back to.
        with contextlib.suppress(PipelineError):
            version = _observed(name, configuration, {})
            if version.version != LATEST:
                yield version


def listed(client: Any, method: str, part: str, name: str) -> Iterator[Mapping[str, Any]]:
    """Give what a call lists of a function."""
    return pages(client, "lambda", method, part, name, FunctionName=name)


def differences(first: Observed, second: Observed) -> list[tuple[str, str, str]]:
    """Compare all that a version keeps: name, first and second value, none of an environment."""
    found = [
        (name, getattr(first, name), getattr(second, name))
        for name in _COMPARED
        if getattr(first, name) != getattr(second, name)
    ]
    found += [
        (key, first.rest.get(key, "(none)"), second.rest.get(key, "(none)"))
        for key in sorted({*first.rest, *second.rest})
        if first.rest.get(key) != second.rest.get(key)
    ]
    for key in sorted({*first.environment, *second.environment}):
        if first.environment.get(key) != second.environment.get(key):
            was, now = (
                "(set)" if key in side.environment else "(none)" for side in (first, second)
            )
            found.append((f"environment {key}", was, "(another value)" if was == now else now))
    return found


def _observed(
    name: str, configuration: Mapping[str, Any], tags: Mapping[str, str] | None
) -> Observed:
    if configuration.get("PackageType", "Zip") != "Zip":
        what = "the function runs a container image, the package holds a function zip"
        raise PipelineError(name, what, "Make the function with PackageType Zip in its stack.")
    return Observed(
        name=name,
        arn=_text(configuration, "FunctionArn"),
        runtime=_text(configuration, "Runtime", ""),
        handler=_text(configuration, "Handler", ""),
        description=_text(configuration, "Description", ""),
        architecture=",".join(map(str, configuration.get("Architectures") or ["x86_64"])),
        code_sha256=_text(configuration, "CodeSha256"),
        environment=_environment(name, configuration),
        tags=tags,
        rest={
            key: json.dumps(_setting(configuration[key]), sort_keys=True, default=str)
            for key in _STACK_OWNS
            if key in configuration
        },
        revision_id=_text(configuration, "RevisionId", ""),
        modified=_text(configuration, "LastModified", ""),
        state=_text(configuration, "State", "Active"),
        state_reason=_reason(configuration, "State"),
        update=_text(configuration, "LastUpdateStatus", "Successful"),
        update_reason=_reason(configuration, "LastUpdateStatus"),
        version=_text(configuration, "Version", LATEST),
        snap_start=_snap_start(configuration.get("SnapStart") or {}),
        reserved=configuration.get("ReservedConcurrentExecutions"),
    )


def _snap_start(setting: Mapping[str, Any]) -> str:
    is_wanted = setting.get("ApplyOn") == "PublishedVersions"
    return str(setting.get("OptimizationStatus", "")) if is_wanted else ""


def _setting(value: Any) -> Any:
    """Return a setting without what AWS adds to it: how far SnapStart is with a version."""
    if not isinstance(value, Mapping):
        return value
    return {name: item for name, item in value.items() if name != "OptimizationStatus"}


def _read(
    client: Any, name: str, version: str
) -> tuple[Mapping[str, Any], Mapping[str, str] | None]:
    of_version = {} if version == LATEST else {"Qualifier": version}
    with explained_errors(name, "lambda:GetFunction"):
        answer = client.get_function(FunctionName=name, **of_version)
        configuration = {**(answer.get("Concurrency") or {}), **answer["Configuration"]}
    # Without lambda:ListTags AWS leaves the tags out, or says why there are none.
    return configuration, None if answer.get("TagsError") else answer.get("Tags")


def _text(configuration: Mapping[str, Any], field: str, default: str | None = None) -> str:
    value = configuration.get(field, default)
    if not isinstance(value, str) or (default is None and not value):
        what = f"its answer to GetFunction has no {field} that can be read"
        raise PipelineError("AWS", what, "Deploy again.")
    return value


def _environment(name: str, configuration: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the variables; an environment that cannot be read is never taken for an empty one."""
    environment = configuration.get("Environment", {"Variables": {}}) or {}
    variables, hidden = environment.get("Variables"), environment.get("Error") or {}
    if isinstance(variables, Mapping) and not hidden:
        return variables
    reason = ": ".join(map(str, hidden.values())) or "AWS gives neither variables nor a reason"
    then = "Allow kms:Decrypt on the function's key for the deploy's credentials."
    raise PipelineError(name, f"its environment cannot be read: {reason}", then)


def settled(client: Any, name: str, wait: Wait, stage: Stage, version: str = LATEST) -> Observed:
    """Read a function, or a version, until it is ready and no update of it is under way.

    A failed update is not an error here: it may be an earlier one. States that are not known
    are waited for. A version with SnapStart is ready when that is. Raises PipelineError for a
    failed function and after the ceiling, Interrupted soon after somebody has asked to stop.
    """
    start, ceiling, part = wait.now(), wait.ceiling, _FIRST_PAUSE
    kind: type[PipelineError] = PipelineError
    what = name if version == LATEST else f"version {version} of {name}"
    while True:
        found = observe(client, name, version)
        if found.state == "Failed":
            raise PipelineError(
                what,
                f"it has failed: {found.state_reason}",
                f"{hint(found.state_reason)} {_AFTER_FAILURE[version == LATEST]}".strip(),
            )
        if found.is_ready:
            return found
        waited = wait.now() - start
        if wait.stopped() and kind is PipelineError:
            kind, ceiling = Interrupted, min(ceiling, waited + _GRACE_SECONDS)
        if waited >= ceiling:
            then = "Deploy again later: a deploy continues where it stopped."
            raise kind(
                what,
                f"after {waited:.0f} s it still has {found.status}",
                f"{hint(found.reason)} {then}".strip(),
            )
        text = f"waiting for {what}: {found.status}"
        stage.progress(text, round(waited), math.ceil(ceiling))
        wait.pause(part, ceiling - waited)
        part = min(2 * part, 1.0)


def _reason(configuration: Mapping[str, Any], field: str) -> str:
    parts = (configuration.get(f"{field}ReasonCode"), configuration.get(f"{field}Reason"))
    return ": ".join(str(part) for part in parts if part)
