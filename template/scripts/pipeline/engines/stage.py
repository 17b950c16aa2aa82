"""The repository's library: its deploy half, which lands in the package, and a digest of all of it.

The deploy half runs on a worker: Python 3.10, the standard library and the client beside it.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

from ..errors import PipelineError
from ..values.names import DEPLOY_HOOKS, DEPLOY_SCRIPT

DEPLOY_HALF = (
    "__init__",
    "aws/__init__",
    "aws/apply",
    "aws/faults",
    "aws/function",
    "aws/policy",
    "aws/session",
    "errors",
    "octopus/__init__",
    "octopus/variables",
    "octopus/worker",
    "report/__init__",
    "report/events",
    "report/foreign",
    "report/masking",
    "report/octopus",
    "report/words",
    "strict_json",
    "values/__init__",
    "values/credentials",
    "values/function_state",
    "values/handler",
    "values/lambda_limits",
    "values/manifest",
    "values/names",
    "values/plan",
    "verbs/__init__",
    "verbs/deploy",
    "verbs/hooks",
)
_LIBRARY = Path(__file__).resolve().parent.parent


def deploy_half(scripts: Path) -> list[tuple[str, bytes]]:
    """Return (name in the package, bytes) for the deploy script, its library and the hooks.

    `scripts` is the repository's folder of that name. Line ends are LF, as the bytes of a
    package must not depend on how git checked the files out. The hooks file may be missing.
    """
    names = [DEPLOY_SCRIPT, *(f"pipeline/{module}.py" for module in DEPLOY_HALF)]
    if (scripts / DEPLOY_HOOKS).is_file():
        names.append(DEPLOY_HOOKS)
    return [(name, _text(scripts / name)) for name in sorted(names)]


@cache
def running_code() -> str:
    """Return the digest of the library that this process runs."""
    return code_digest(_LIBRARY)


def code_digest(library: Path) -> str:
    """Return a digest, in hex, of a library's modules: their names and, with LF, their lines.

    Other code may make other bytes of the same inputs.
    """
    digest = hashlib.sha256()
    for folder, _, names in sorted(os.walk(library)):
        for name in sorted(names):
            if name.endswith(".py"):
                path = Path(folder, name)
                data = path.read_bytes().replace(b"\r\n", b"\n")
                digest.update(f"{path.relative_to(library).as_posix()} {len(data)}\n".encode())
                digest.update(data)
    return digest.hexdigest()


def _text(path: Path) -> bytes:
    try:
        return path.read_bytes().replace(b"\r\n", b"\n")
    except OSError as error:
        raise PipelineError(
            str(path),
            f"it cannot be read: {error.strerror}",
            "Restore it: git checkout scripts",
        ) from error
