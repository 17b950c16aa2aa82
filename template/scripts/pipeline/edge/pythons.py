"""Finding a Python of a given minor version on this machine."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..core.errors import PipelineError
from .shell import run

_PROBE = (
    "import sys; print('%d.%d' % sys.version_info[:2]);"
    "print(sys._base_executable or sys.executable)"
)


def base_python() -> Path:
    """Return the running interpreter, outside any virtual environment."""
    return Path(sys._base_executable)  # type: ignore[attr-defined]  # noqa: SLF001 - no public name


def how_to_install(version: str) -> str:
    """Return what to do where `find_python` finds none."""
    return f"install it, with pyenv or with `uv python install {version}`"


def is_program(path: Path) -> bool:
    """Tell whether the path is a file that can be run; links to a removed Python are not."""
    return path.is_file() and os.access(path, os.X_OK)


def find_python(version: str, environ: Mapping[str, str]) -> Path | None:
    """Return the interpreter of `version` (`major.minor`), or None where there is none.

    Looks on PATH, then among pyenv's and uv's installations.
    """
    for candidate in _candidates(version, environ):
        try:
            answer = run([candidate, "-I", "-S", "-c", _PROBE], cwd=Path.cwd()).stdout.splitlines()
        except PipelineError:
            # A pyenv shim without that version exits with an error.
            continue
        if answer and answer[0] == version:
            return Path(answer[1])
    return None


def _candidates(version: str, environ: Mapping[str, str]) -> Iterator[Path]:
    name = f"python{version}"
    found = shutil.which(name, path=environ.get("PATH"))
    roots = [Path(environ["PYENV_ROOT"])] if environ.get("PYENV_ROOT") else []
    if found:
        yield Path(found)
        if Path(found).parent.name == "shims":
            roots.append(Path(found).parents[1])
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or os.sep)
    for root in (*roots, home / ".pyenv"):
        yield from sorted(root.glob(f"versions/{version}.*/bin/{name}"), reverse=True)
    yield from sorted(
        home.glob(f".local/share/uv/python/cpython-{version}.*/bin/{name}"), reverse=True
    )
