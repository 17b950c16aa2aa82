"""npm: what it fetches, installs and locks. It never runs a script of a package."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import PipelineError
from .files import decoded
from .shell import Result, run, scrubbed

SETTINGS = ".npmrc"
# Else npm and others keep what they have compiled in the folder of temporary files.
LEAVE_NOTHING = {"NODE_DISABLE_COMPILE_CACHE": "1"}
_CACHE_FIRST = "--prefer-offline"
_QUIET = ("--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts", "--loglevel=error")
# Its settings, and the variables that settings usually take a token from.
PASSED_TO_NPM = re.compile(r"(?i)npm_config_|NODE_AUTH_TOKEN\Z|NPM_TOKEN\Z|NODE_EXTRA_CA_CERTS\Z")
_REFERENCE = re.compile(r"\$\{([^}?]+)\??\}")
_SECRET = re.compile(r"(?m)^\s*(\S*(?:_authToken|_auth|_password))\s*=\s*(?!\$\{)\S")
# What begins its lines, and advice for people who called npm themselves.
_NOISE = re.compile(
    r"(?m)^npm (?:error|warn)(?: (?:code|command|network|notarget|\d{3})\b)? *"
    r"(?:syscall .*|errno .*|In most cases.*|If you are behind.*|or one of your .*"
    r"|'proxy' config.*|Note that you can.*|tarball, folder.*)?\n?|A complete log of.*\n?.*"
)
_UNKNOWN = re.compile(r"\b(E404|ETARGET)\b")
_NETWORK = re.compile(r"\b(ENOTFOUND|EAI_AGAIN|ECONN\w+|ETIMEDOUT|ENOTCACHED|E401|E403|network)\b")


@dataclass(frozen=True)
class Npm:
    """An npm: `words` start it with the Node `node`. `environ` is the process environment.

    `settings` is the repository's own `.npmrc`; the user's counts too. It runs in a folder that
    holds what it needs and nothing else.
    """

    node: Path
    words: tuple[str | Path, ...]
    environ: Mapping[str, str]
    settings: str = ""

    def run(self, arguments: Sequence[str | Path], folder: Path, *, where: str) -> Result:
        """Run it in a folder. Raises PipelineError with npm's own reason.

        With `--prefer-offline`, a cache that does not know a version yet is no reason.
        """
        names = {name for name in self.environ if PASSED_TO_NPM.match(name)}
        names |= {*_REFERENCE.findall(self.settings)} & self.environ.keys()
        path = os.pathsep.join([str(self.node.parent), self.environ.get("PATH", "")])
        passed = {name: self.environ[name] for name in names} | {"PATH": path, **LEAVE_NOTHING}
        if self.settings:
            (folder / SETTINGS).write_text(self.settings, encoding="utf-8")
        env = scrubbed(self.environ, passed)
        try:
            return run([*self.words, *arguments, *_QUIET], cwd=folder, env=env, where=where)
        except PipelineError as error:
            if "ETARGET" in error.then and _CACHE_FIRST in arguments:
                rest = [word for word in arguments if word != _CACHE_FIRST]
                return self.run(rest, folder, where=where)
            said = _NOISE.sub("", error.then)
            asked = "Settings of npm say which registry is asked."
            then = f"The registry has none of this name and version. {asked}"
            if not _UNKNOWN.search(said):
                then = f"Is the network there, and the token that .npmrc names? {asked}"
                then = then if _NETWORK.search(said) else ""
            what = " ".join(said.split()) or error.what
            raise PipelineError(where, what, then) from error

    def fetch(self, name: str, version: str, integrity: str) -> dict[str, bytes]:
        """Return the files of a package by path, fetched or from npm's cache, as it was published.

        Raises PipelineError unless they are those of the SHA-512 `integrity`.
        """
        package = f"{name}@{version}"
        with tempfile.TemporaryDirectory(prefix="npm-") as scratch:
            where, folder = f"fetch {package}", Path(scratch)
            self.run(["pack", package, _CACHE_FIRST], folder, where=where)
            (tarball,) = folder.glob("*.tgz")
            data = tarball.read_bytes()
        if integrity != integrity_of(data):
            what = "the registry's is not the one that the pipeline was made with"
            raise PipelineError(where, what, "Ask a registry that has the published package.")
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            # Every path begins with one folder, mostly `package`.
            return {
                member.name.partition("/")[2]: file.read()
                for member in archive
                if member.isfile() and (file := archive.extractfile(member))
            }


def integrity_of(data: bytes) -> str:
    """Return what npm writes of a package's bytes."""
    return f"sha512-{base64.b64encode(hashlib.sha512(data).digest()).decode()}"


def npm_of(node: Path, environ: Mapping[str, str]) -> tuple[str | Path, ...] | None:
    """Return what starts the npm that came with a Node, or the one on PATH; None without any."""
    script = node.resolve().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if script.is_file():
        return node, script
    found = shutil.which("npm", path=environ.get("PATH"))
    return (found,) if found else None


def read_settings(root: Path) -> str:
    """Return the repository's `.npmrc`. Raises PipelineError where it holds a secret in plain."""
    path = root / SETTINGS
    text = decoded(path.read_bytes(), SETTINGS) if path.is_file() else ""
    if found := _SECRET.search(text):
        line = text.count("\n", 0, found.start(1)) + 1
        raise PipelineError(
            f"{SETTINGS}:{line}",
            f"{found[1]} is there in plain, for everybody who reads the repository",
            "Write ${NPM_TOKEN} instead, put the token into that variable, and take it for known.",
        )
    return text
