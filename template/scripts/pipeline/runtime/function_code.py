"""A function's code on this machine: the unzipped package, and what runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..zip.mirror import mirror
from ..zip.reader import FUNCTION_LIMITS, open_archive

_ACCOUNT = "123456789012"


@dataclass(frozen=True)
class LocalRuntime:
    """What stands for a managed runtime: a program, and a folder with AWS's runtime client for it.

    `version` is the program's own, as runtimes name it. `extra_paths` stand for what the runtime
    itself offers, like boto3; they and `ric` come last on the path, as on Lambda, so that the
    package's own files win. `language` is that of `Runtime`.
    """

    program: Path
    ric: Path
    version: str = ""
    extra_paths: tuple[Path, ...] = ()
    language: str = "python"


@dataclass(frozen=True)
class FunctionCode:
    """Unzipped code, its handler, and what runs it."""

    folder: Path
    handler: str
    runtime: LocalRuntime


@dataclass(frozen=True)
class FunctionConfig:
    """How Lambda would run the function; `memory` in MB, `timeout` in seconds.

    With the log format `JSON` its own lines begin at `log_level` where that is given, Lambda's at
    `system_log_level`.
    """

    name: str
    version: str = "$LATEST"
    memory: int = 128
    timeout: float = 3
    region: str = "us-east-1"
    runtime: str = "python3.13"
    environment: Mapping[str, str] = field(default_factory=dict)
    endpoint: str = ""
    access_key: str = "local"
    secret_key: str = "local"  # noqa: S105 - what functions get instead of a secret
    log_group: str = ""
    log_format: str = "Text"
    log_level: str = ""
    system_log_level: str = "INFO"
    init_timeout: float = 10

    def made_up_arn(self) -> str:
        """Return the ARN the function is told where no AWS has given it one."""
        return f"arn:aws:lambda:{self.region}:{_ACCOUNT}:function:{self.name}"

    def group(self) -> str:
        """Return the log group's name."""
        return self.log_group or f"/aws/lambda/{self.name}"


def unpack_function(archive: Path | bytes, folder: Path, *, where: str = "") -> None:
    """Unzip a function into `folder` with its modes, readable only, as `/var/task` is.

    Of what an earlier zip left there, only what differs is written or removed. Raises PipelineError
    for an archive that is not sound; then the folder waits for a sound one.
    """
    mirror(open_archive(archive, FUNCTION_LIMITS, where=where), folder, read_only=True)
