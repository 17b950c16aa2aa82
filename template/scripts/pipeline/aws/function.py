"""Reading a Lambda function, and waiting until it has settled. Nothing here writes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import PipelineError
from ..report.events import Stage
from ..values.plan import Observed
from .faults import faults, hint
from .session import LambdaClient

__all__ = ["Wait", "observe", "settled"]

# What the stack owns. Compared to notice somebody else's change, never written.
_STACK_OWNS = (
    "Role", "Timeout", "MemorySize", "EphemeralStorage", "VpcConfig", "DeadLetterConfig",
    "Layers", "FileSystemConfigs", "KMSKeyArn", "TracingConfig", "SnapStart", "LoggingConfig",
)  # fmt: skip
_READY_STATES = ("Active", "Inactive")


@dataclass(frozen=True)
class Wait:
    """How to wait: `sleep` and the monotonic clock `now`, both in seconds, and a ceiling."""

    sleep: Callable[[float], None]
    now: Callable[[], float]
    interval: float = 1.0
    ceiling: float = 300.0


def observe(client: LambdaClient, name: str) -> Observed:
    """Read a function. Raises PipelineError when it is not there or cannot be deployed to."""
    with faults(name, "lambda:GetFunction"):
        answer = client.get_function(FunctionName=name)
    configuration: Mapping[str, Any] = answer["Configuration"]
    _refuse_what_we_cannot_deploy(name, configuration)
    return Observed(
        name=name,
        arn=configuration["FunctionArn"],
        runtime=configuration.get("Runtime", ""),
        handler=configuration.get("Handler", ""),
        description=configuration.get("Description", ""),
        architecture=",".join(configuration.get("Architectures", ["x86_64"])),
        code_sha256=configuration.get("CodeSha256", ""),
        environment=configuration.get("Environment", {}).get("Variables", {}),
        tags=answer.get("Tags", {}),
        rest={
            key: json.dumps(configuration[key], sort_keys=True)
            for key in _STACK_OWNS
            if key in configuration
        },
        revision_id=configuration.get("RevisionId", ""),
        modified=str(configuration.get("LastModified", "")),
        state=configuration.get("State", "Active"),
        state_reason=_reason(configuration, "State"),
        update=configuration.get("LastUpdateStatus", "Successful"),
        update_reason=_reason(configuration, "LastUpdateStatus"),
    )


def settled(client: LambdaClient, name: str, wait: Wait, stage: Stage) -> Observed:
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
        words = f"State {found.state}, LastUpdateStatus {found.update}"
        reason = found.state_reason if found.state not in _READY_STATES else found.update_reason
        words = f"{words} ({reason})" if reason else words
        if wait.now() - start >= wait.ceiling:
            raise PipelineError(
                name,
                f"after {wait.ceiling:.0f} s it still has {words}",
                f"{hint(reason)} Deploy again later: a deploy continues where it stopped.".strip(),
            )
        stage.progress(f"waiting for {name}: {words}")
        wait.sleep(wait.interval)


def _reason(configuration: Mapping[str, Any], field: str) -> str:
    code = configuration.get(f"{field}ReasonCode", "")
    text = configuration.get(f"{field}Reason", "")
    return ": ".join(part for part in (code, text) if part)


def _refuse_what_we_cannot_deploy(name: str, configuration: Mapping[str, Any]) -> None:
    if configuration.get("PackageType", "Zip") != "Zip":
        raise PipelineError(
            name,
            "the function runs a container image, the package holds a function zip",
            "Make the function with PackageType Zip in its stack.",
        )
    hidden = configuration.get("Environment", {}).get("Error")
    if hidden:
        # An environment is replaced as a whole: writing ours would drop the keys of others.
        raise PipelineError(
            name,
            f"its environment cannot be read: {hidden.get('ErrorCode')}: {hidden.get('Message')}",
            "Allow kms:Decrypt on the function's key for the deploy's credentials.",
        )
