"""uv: resolving, installing and locking Python packages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import PipelineError
from .shell import Result, run, scrubbed

_DECORATIONS = str.maketrans(dict.fromkeys("\N{MULTIPLICATION SIGN}╰─▶│", " "))
# In uv's output: a line for each distribution, and its progress.
_INSTALLED = re.compile(r"^ \+ (\S+)==(\S+)", re.MULTILINE)
_PROGRESS = re.compile(
    r"^ *(Using|Resolved|Prepared|Downloading|Downloaded|Installed) .*\n?", re.MULTILINE
)


@dataclass(frozen=True)
class Installation:
    """What uv has installed: versions by distribution, and whether its cache was enough."""

    from_cache: bool
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Uv:
    """The locked uv. `program` is its path; `environ` the process environment, for its settings."""

    program: Path
    environ: Mapping[str, str]

    def install(
        self, arguments: Sequence[str | Path], *, cwd: Path, where: str, copies: bool = False
    ) -> Installation:
        """Run `uv pip install` and return what was installed.

        The cache is tried first, so that what was fetched before needs no network. Files are hard
        links into uv's cache where the disk has them. With `copies`, edits do not reach the cache:
        for everything that stays on the disk.
        """
        mode = "copy" if copies else "hardlink"
        command = ["pip", "install", "--require-hashes", "--link-mode", mode, *arguments]
        done = self._run([*command, "--offline"], cwd=cwd, where=where, accept=(0, 1, 2))
        from_cache = done.code == 0
        if not from_cache:
            done = self._run(command, cwd=cwd, where=where)
        return Installation(from_cache, dict(_INSTALLED.findall(done.stderr)))

    def forget(self, packages: Iterable[str], *, cwd: Path) -> None:
        """Remove packages from uv's cache, which then fetches them again."""
        self._run(["cache", "clean", "--quiet", *packages], cwd=cwd, where="uv cache clean")

    def make_venv(self, folder: Path, python: Path) -> None:
        """Make a virtual environment at `folder` with that interpreter, in place of an old one."""
        self._run(
            ["venv", "--quiet", "--no-project", "--clear", "--python", python, folder],
            cwd=folder.parent,
            where="uv venv",
        )

    def lock(
        self, requirements: Sequence[str], arguments: Sequence[str | Path], *, cwd: Path
    ) -> None:
        """Write a hash lock for every platform, without addresses or annotations.

        `arguments` name the file (`--output-file`); its versions are kept where they fit.
        """
        self._compile(requirements, ["--universal", "--generate-hashes", *arguments], cwd)

    def resolve(
        self, requirements: Sequence[str], arguments: Sequence[str | Path], *, cwd: Path
    ) -> None:
        """Write the exact versions that have a wheel for the platform in `arguments`."""
        self._compile(requirements, ["--only-binary", ":all:", *arguments], cwd)

    def _compile(
        self, requirements: Sequence[str], arguments: Sequence[str | Path], cwd: Path
    ) -> None:
        source = cwd / "requirements.in"
        source.write_text("".join(f"{line}\n" for line in requirements), encoding="utf-8")
        plain = ["--quiet", "--no-header", "--no-annotate", "--no-emit-index-url"]
        self._run(["pip", "compile", *plain, *arguments, source], cwd=cwd, where="uv pip compile")

    def _run(
        self,
        arguments: Sequence[str | Path],
        *,
        cwd: Path,
        where: str,
        accept: tuple[int, ...] = (0,),
    ) -> Result:
        settings = {name: value for name, value in self.environ.items() if name.startswith("UV_")}
        env = scrubbed(self.environ, {**settings, "UV_PYTHON_DOWNLOADS": "never"})
        try:
            return run([self.program, *arguments], cwd=cwd, env=env, accept=accept, where=where)
        except PipelineError as error:
            reason = error.then or error.what
            raise PipelineError(
                where,
                _plain(reason),
                "Is the network there? The index is chosen by UV_DEFAULT_INDEX."
                if _is_network(reason)
                else "",
            ) from error


def _plain(text: str) -> str:
    """Return uv's explanation without its decorations and progress."""
    return " ".join(_PROGRESS.sub("", text).translate(_DECORATIONS).split())


def _is_network(text: str) -> bool:
    return any(
        word in text.lower()
        for word in ("dns", "connect", "network", "offline", "timed out", "fetch")
    )
