"""The state file of a background embedded AWS: where it is, and the key that opens it."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..core.errors import PipelineError
from ..core.manifest import value_of
from ..core.strict_json import parse_json
from ..edge.shell import NOTHING_REAL


@dataclass(frozen=True)
class LocalAws:
    """A running embedded AWS; `started` is in seconds since 1970.

    Functions get a key of their own, which does not open the server itself.
    """

    endpoint: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    region: str
    pid: int
    started: float
    log: str = ""
    function_key: str = field(default="", repr=False)
    function_secret: str = field(default="", repr=False)

    def environment(self) -> dict[str, str]:
        """Return the variables with which any AWS client talks to it and to nothing else."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            **NOTHING_REAL,
            "NO_PROXY": "127.0.0.1,localhost",
        }


def read_state(path: Path) -> LocalAws | None:
    """Return what the file says, or None when there is none that can be read."""
    try:
        aws: LocalAws = value_of(LocalAws, parse_json(path.read_bytes(), str(path)))
    except (OSError, PipelineError, TypeError):
        return None
    return aws


def write_state(path: Path, aws: LocalAws) -> None:
    """Write the file in one step, readable by its owner only (mkstemp gives mode 0600)."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as part:
        json.dump(asdict(aws), part, indent=2, sort_keys=True)
    Path(name).replace(path)
