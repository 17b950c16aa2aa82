"""Which files of the repository's library land in the package: the deploy half.

They run on a worker: Python 3.10, the standard library and the client beside them.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import PipelineError

__all__ = ["DEPLOY_HALF", "deploy_half"]

DEPLOY_HALF = (
    "__init__",
    "aws/__init__",
    "aws/apply",
    "aws/faults",
    "aws/function",
    "aws/session",
    "errors",
    "octopus/__init__",
    "octopus/variables",
    "octopus/worker",
    "report/__init__",
    "report/events",
    "report/masking",
    "report/octopus",
    "report/words",
    "values/__init__",
    "values/credentials",
    "values/handler",
    "values/manifest",
    "values/names",
    "values/plan",
    "verbs/__init__",
    "verbs/deploy",
    "verbs/hooks",
)
_SCRIPT = "deploy.py"
_HOOKS = "hooks_deploy.py"


def deploy_half(scripts: Path) -> list[tuple[str, bytes]]:
    """Return (name in the package, bytes) for the deploy script, its library and the hooks.

    `scripts` is the repository's folder of that name. Line ends are LF, as the bytes of a
    package must not depend on how git checked the files out. The hooks file may be missing.
    """
    names = [_SCRIPT, *(f"pipeline/{module}.py" for module in DEPLOY_HALF)]
    if (scripts / _HOOKS).is_file():
        names.append(_HOOKS)
    return [(name, _text(scripts / name)) for name in sorted(names)]


def _text(path: Path) -> bytes:
    try:
        return path.read_bytes().replace(b"\r\n", b"\n")
    except OSError as error:
        raise PipelineError(
            str(path),
            f"it cannot be read: {error.strerror}",
            "Run `python3 tasks.py doctor --fix`.",
        ) from error
