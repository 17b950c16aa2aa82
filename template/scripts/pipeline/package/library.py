"""The repository's library: its deploy half, which lands in the package, and a digest of all of it.

The deploy half runs on a worker: Python 3.10, the standard library and the client beside it.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

from ..core.errors import PipelineError
from ..core.names import DEPLOY_HOOKS, DEPLOY_SCRIPT
from ..edge.files import reading

# Packed whole. They import only themselves, the standard library and the client.
DEPLOY_HALF = ("core", "deploy")
_OLDEST_PYTHON = (3, 10)
_LIBRARY = Path(__file__).resolve().parent.parent


def deploy_half(scripts: Path) -> list[tuple[str, bytes]]:
    """Return (name in the package, bytes) for the deploy script, its library and the hooks.

    `scripts` is the repository's folder of that name. Line ends are LF, as the bytes of a
    package must not depend on how git checked the files out. The hooks file may be missing; it is
    refused if a worker's Python cannot read it.
    """
    names = [DEPLOY_SCRIPT, "pipeline/__init__.py"]
    for part in DEPLOY_HALF:
        folder = scripts / "pipeline" / part
        names += [f"pipeline/{part}/{path.name}" for path in folder.glob("*.py")]
    if (scripts / DEPLOY_HOOKS).is_file():
        names.append(DEPLOY_HOOKS)
        _refuse_unreadable(scripts / DEPLOY_HOOKS)
    return [(name, read_lf(scripts / name)) for name in sorted(names)]


def _refuse_unreadable(hooks: Path) -> None:
    try:
        ast.parse(hooks.read_bytes(), feature_version=_OLDEST_PYTHON)
    except (SyntaxError, ValueError) as error:
        where = f"scripts/{hooks.name}:{getattr(error, 'lineno', None) or 1}"
        what = f"a worker's Python cannot read it: {getattr(error, 'msg', error)}"
        raise PipelineError(where, what, "Correct that line.") from error


@cache
def running_code() -> str:
    """Return the digest of the library that this process runs."""
    return code_digest(_LIBRARY)


def code_digest(library: Path) -> str:
    """Return a digest, in hex, of a library's modules: their names and, with LF, their lines.

    Other code may make other bytes of the same inputs.
    """
    digest = hashlib.sha256()
    for path in sorted([*library.rglob("*.py"), *library.rglob("*.mjs")]):
        data = read_lf(path)
        digest.update(f"{path.relative_to(library).as_posix()} {len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()


def read_lf(path: Path) -> bytes:
    """Return a file of the library with LF line ends."""
    with reading(str(path), "Bring it back: python3 tasks.py doctor --fix"):
        return path.read_bytes().replace(b"\r\n", b"\n")
