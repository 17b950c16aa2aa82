"""The machine a verb runs on: every effect it may have, passed in as one value."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from .files import read_json, write_json
from .git import Git
from .nodes import find_node
from .pythons import find_python, is_program
from .uv import Uv

_PROCESSORS = {"aarch64": "arm64", "amd64": "x86_64"}


@dataclass(frozen=True)
class Machine:
    """`root` is the repository, `cache_folder` gives its cache for this process to use.

    What is in it may be gone with the next process. `now` and `seconds` are the clocks,
    `uv_program` gives the locked uv, `tooling` installs one of the tooling locks by name, and
    `uv_settings` gives the repository's settings of where packages come from. With
    `tools_folder` the cache is for what is made, and another one has what makes it.
    """

    root: Path
    cache_folder: Callable[[], Path]
    environ: Mapping[str, str]
    now: Callable[[], datetime]
    seconds: Callable[[], float]
    uv_program: Callable[[], Path]
    tooling: Callable[[str], None]
    uv_settings: Callable[[], str] = str
    tools_folder: Callable[[], Path] | None = None

    @property
    def cache(self) -> Path:
        """The cache; from now on no other process removes anything from it."""
        return self.cache_folder()

    @property
    def tools(self) -> Path:
        """The cache of programs that are fetched by their hashes."""
        return (self.tools_folder or self.cache_folder)()

    @property
    def git(self) -> Git | None:
        """The work tree, or None without `.git`."""
        return Git.at(self.root)

    @property
    def uv(self) -> Uv:
        """The locked uv."""
        return Uv(self.uv_program(), self.environ, self.uv_settings())

    @property
    def output(self) -> Path:
        """Where builds go."""
        return self.root / "build-output"

    def python(self, version: str) -> Path | None:
        """Return the interpreter of `major.minor`, or None; what was found is kept in the cache."""
        return self._remembered(f"python-{version}", partial(find_python, version, self.environ))

    def node(self, version: str) -> Path | None:
        """Return the Node of a major version, or None; what was found is kept in the cache."""
        return self._remembered(f"node-{version}", partial(find_node, version, self.environ))

    def _remembered(self, name: str, find: Callable[[], Path | None]) -> Path | None:
        memory = self.cache / f"{name}.json"
        remembered = read_json(memory)
        if isinstance(remembered, str) and is_program(Path(remembered)):
            return Path(remembered)
        found = find()
        if found:
            write_json(memory, str(found))
        return found


def utc_now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def this_system() -> str:
    """Return this machine's system and processor, in Lambda's words."""
    processor = platform.machine().lower()
    return f"{sys.platform} {_PROCESSORS.get(processor, processor)}"
