"""Reading a Lambda function, and waiting until it has settled. Nothing here writes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import PipelineError
from ..core.events import Stage
from .aws_errors import explained_errors, hint

# What the stack owns. Compared to notice somebody else's change, never written.
_STACK_OWNS = (
    "Role", "Timeout", "MemorySize", "EphemeralStorage", "VpcConfig", "DeadLetterConfig",
    "Layers", "FileSystemConfigs", "KMSKeyArn", "TracingConfig", "SnapStart", "LoggingConfig",
)  # fmt: skip
_READY_STATES = ("Active", "Inactive")


@dataclass(frozen=True)
class Observed:
    """What Lambda says of a function at one moment.

    `rest` holds the settings that the stack owns (memory, timeout, role ...) as JSON texts:
    they are compared, never written. `environment` may hold secrets of others. `tags` is None
    where they may not be read. `revision_id` is empty where the service gives none.
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


@dataclass(frozen=True)
class Wait:
    """How to wait: `sleep` and the monotonic clock `now`, both in seconds, and a ceiling."""

    sleep: Callable[[float], None]
    now: Callable[[], float]
    interval: float = 1.0
    ceiling: float = 300.0


def observe(client: Any, name: str) -> Observed:
    """Read a function. Raises PipelineError when it is not there or cannot be deployed to."""
    configuration, tags = _read(client, name)
    if "Environment" not in configuration:
        # So answers AWS for a function without variables, and so does an answer that lacks a part.
        # Writing on the second would drop the variables of others, so it is asked once more.
        configuration, tags = _read(client, name)
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
            key: json.dumps(configuration[key], sort_keys=True, default=str)
            for key in _STACK_OWNS
            if key in configuration
        },
        revision_id=_text(configuration, "RevisionId", ""),
        modified=_text(configuration, "LastModified", ""),
        state=_text(configuration, "State", "Active"),
        state_reason=_reason(configuration, "State"),
        update=_text(configuration, "LastUpdateStatus", "Successful"),
        update_reason=_reason(configuration, "LastUpdateStatus"),
    )


def _read(client: Any, name: str) -> tuple[Mapping[str, Any], Mapping[str, str] | None]:
    with explained_errors(name, "lambda:GetFunction"):
        answer = client.get_function(FunctionName=name)
    configuration = answer.get("Configuration")
    if not isinstance(configuration, Mapping):
        raise _incomplete("Configuration")
    # Without lambda:ListTags AWS leaves the tags out, or says why there are none.
    tags = answer.get("Tags")
    readable = isinstance(tags, Mapping) and not answer.get("TagsError")
    return configuration, tags if readable else None


def _text(configuration: Mapping[str, Any], field: str, default: str | None = None) -> str:
    value = configuration.get(field, default)
    if not isinstance(value, str) or (default is None and not value):
        raise _incomplete(field)
    return value


def _incomplete(field: str) -> PipelineError:
    what = f"its answer to GetFunction has no {field} that can be read"
    return PipelineError("AWS", what, "Deploy again.")


def _environment(name: str, configuration: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the variables; an environment that cannot be read is never taken for an empty one."""
    environment = configuration.get("Environment", {"Variables": {}})
    variables = environment.get("Variables") if isinstance(environment, Mapping) else None
    hidden = environment.get("Error") if isinstance(environment, Mapping) else None
    if isinstance(variables, Mapping) and not hidden:
        return variables
    reason = ": ".join(map(str, hidden.values())) if isinstance(hidden, Mapping) else "no variables"
    then = "Allow kms:Decrypt on the function's key for the deploy's credentials."
    raise PipelineError(name, f"its environment cannot be read: {reason}", then)


def settled(client: Any, name: str, wait: Wait, stage: Stage) -> Observed:
    """Read a function until no update of it is under way.

    A failed update is not an error here: it may be an earlier one. States that are not known
    are waited for. Raises PipelineError for a failed function and after the ceiling.
    """
    start = wait.now()
    while True:
        found = observe(client, name)
        if found.state == "Failed":
            raise PipelineError(
                name,
                f"the function has failed: {found.state_reason}",
                f"{hint(found.state_reason)} Delete it and have its stack make it again.".strip(),
            )
        if found.state in _READY_STATES and found.update != "InProgress":
            return found
        status = f"State {found.state}, LastUpdateStatus {found.update}"
        reason = found.state_reason if found.state not in _READY_STATES else found.update_reason
        status = f"{status} ({reason})" if reason else status
        if wait.now() - start >= wait.ceiling:
            raise PipelineError(
                name,
                f"after {wait.ceiling:.0f} s it still has {status}",
                f"{hint(reason)} Deploy again later: a deploy continues where it stopped.".strip(),
            )
        stage.progress(f"waiting for {name}: {status}")
        wait.sleep(wait.interval)


def _reason(configuration: Mapping[str, Any], field: str) -> str:
    parts = (configuration.get(f"{field}ReasonCode"), configuration.get(f"{field}Reason"))
    return ": ".join(str(part) for part in parts if part)
