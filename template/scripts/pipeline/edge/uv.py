"""uv: resolving, installing and locking Python packages."""

from __future__ import annotations

import re
import sys
import tempfile
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


# The place of errors when it resolves.
COMPILE = "uv pip compile"
# What a resolver warns of, in one line. Which Python it has not is known, and a function without
# dependencies is none to warn of.
_KNOWN = r"The requested Python|Requirements file .* does not contain any dependencies"
_WARNING = re.compile(rf"^warning: (?!{_KNOWN})(.+)", re.MULTILINE)
# Its own settings, and where the user's and the machine's are.
_SETTINGS = ("UV_", "XDG_CONFIG_")


@dataclass(frozen=True)
class Installation:
    """What uv has installed: versions by distribution, and whether its cache was enough.

    `warnings` are what it warned of, such as a release that was yanked.
    """

    from_cache: bool
    versions: Mapping[str, str]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Uv:
    """The locked uv. `program` is its path; `environ` the process environment, for its settings.

    `settings` is the text of a `uv.toml`. The user's and the machine's settings count too, those of
    folders do not: uv runs in a folder of its own. Paths in arguments are absolute.
    """

    program: Path
    environ: Mapping[str, str]
    settings: str = ""

    def install(
        self, arguments: Sequence[str | Path], *, where: str, copies: bool = False
    ) -> Installation:
        """Run `uv pip install` and return what was installed.

        The cache is tried first, so that what was fetched before needs no network. Files are hard
        links into uv's cache where the disk has them. With `copies`, edits do not reach the cache:
        for everything that stays on the disk.
        """
        mode = "copy" if copies else "hardlink"
        command = ["pip", "install", "--require-hashes", "--link-mode", mode, *arguments]
        done = self._run([*command, "--offline"], where=where, accept=(0, 1, 2))
        from_cache = done.code == 0
        if not from_cache:
            done = self._run(command, where=where)
        versions = dict(_INSTALLED.findall(done.stderr))
        return Installation(from_cache, versions, tuple(_WARNING.findall(done.stderr)))

    def forget(self, packages: Iterable[str]) -> None:
        """Remove packages from uv's cache, which then fetches them again."""
        self._run(["cache", "clean", "--quiet", *packages], where="uv cache clean")

    def make_venv(self, folder: Path, python: Path) -> None:
        """Make a virtual environment at `folder`, to be moved, in place of an old one."""
        options = ("--quiet", "--no-project", "--clear", "--relocatable")
        self._run(["venv", *options, "--python", python, folder], where="uv venv")

    def lock(self, requirements: Sequence[str], arguments: Sequence[str | Path]) -> list[str]:
        """Write a hash lock for every platform, without addresses or annotations.

        `arguments` name the file (`--output-file`); its versions are kept where they fit. Returns
        what uv warned of.
        """
        return self._compile(requirements, ["--universal", "--generate-hashes", *arguments])

    def resolve(self, requirements: Sequence[str], arguments: Sequence[str | Path]) -> list[str]:
        """Write the exact versions that have a wheel for the platform in `arguments`.

        Returns what uv warned of.
        """
        return self._compile(requirements, ["--only-binary", ":all:", *arguments])

    def _compile(self, requirements: Sequence[str], arguments: Sequence[str | Path]) -> list[str]:
        with tempfile.TemporaryDirectory(prefix="compile-") as scratch:
            source = Path(scratch, "requirements.in")
            source.write_text("".join(f"{line}\n" for line in requirements), encoding="utf-8")
            plain = ["--no-header", "--no-annotate", "--no-emit-index-url"]
            plain += ["--python", sys.executable]
            command = ["pip", "compile", *plain, *arguments, source]
            return _WARNING.findall(self._run(command, where=COMPILE).stderr)

    def _run(
        self, arguments: Sequence[str | Path], *, where: str, accept: tuple[int, ...] = (0,)
    ) -> Result:
        kept = [name for name in self.environ if name.startswith(_SETTINGS)]
        variables = {name: self.environ[name] for name in kept}
        # Else uv runs the interpreter of a `.venv` that it finds in a folder above.
        variables |= {"UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never"}
        env = scrubbed(self.environ, variables)
        try:
            with tempfile.TemporaryDirectory(prefix="uv-") as name:
                own = Path(name)
                # uv looks for a project, then for settings, in all folders above: it finds these.
                (own / "pyproject.toml").touch()
                (own / "uv.toml").write_text(self.settings, encoding="utf-8")
                return run([self.program, *arguments], cwd=own, env=env, accept=accept, where=where)
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
    words = _PROGRESS.sub("", text).removeprefix("error: ").translate(_DECORATIONS)
    return " ".join(words.split())


def _is_network(text: str) -> bool:
    return any(
        word in text.lower()
        for word in ("dns", "connect", "network", "offline", "timed out", "fetch")
    )
