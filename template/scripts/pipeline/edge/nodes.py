"""Finding a Node of a given major version on this machine."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..core.errors import PipelineError
from .shell import run

# Where the common version managers keep theirs: the variable that names their folder, the folder
# below the home without one, and where a Node is in it.
_MANAGERS = (
    ("NVM_DIR", ".nvm", "versions/node/v{}.*/bin/node"),
    ("FNM_DIR", ".local/share/fnm", "node-versions/v{}.*/installation/bin/node"),
    ("VOLTA_HOME", ".volta", "tools/image/node/{}.*/bin/node"),
    ("MISE_DATA_DIR", ".local/share/mise", "installs/node/{}.*/bin/node"),
    ("ASDF_DATA_DIR", ".asdf", "installs/nodejs/{}.*/bin/node"),
)
# What our npm asks for: older minors of a major are as good as none.
_OLDEST_MINOR = {"20": 17, "22": 9}
_VERSION = re.compile(r"v(\d+)\.(\d+)\.")


def find_node(version: str, environ: Mapping[str, str]) -> Path | None:
    """Return the Node of a major version, or None: on PATH, then among version managers'."""
    for candidate in _candidates(version, environ):
        try:
            answer = run([candidate, "--version"], cwd=Path.cwd()).stdout
        except PipelineError:
            # A manager's shim without that version exits with an error.
            continue
        found = _VERSION.match(answer)
        if found and found[1] == version and int(found[2]) >= _OLDEST_MINOR.get(version, 0):
            return candidate
    return None


def _candidates(version: str, environ: Mapping[str, str]) -> Iterator[Path]:
    if found := shutil.which("node", path=environ.get("PATH")):
        yield Path(found)
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or os.sep)
    for variable, folder, place in _MANAGERS:
        root = Path(environ.get(variable) or home / folder)
        yield from sorted(root.glob(place.format(version)), key=_by_version, reverse=True)


def _by_version(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.as_posix())]
