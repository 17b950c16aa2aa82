"""The one place that runs programs: to their end with captured output, or on this terminal.

Its neighbour `stream` is the third form, for output that is read while the program runs. Only
the embedded AWS starts processes of its own, because it keeps them after the call.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import PipelineError

__all__ = ["Result", "attach", "run", "scrubbed"]

_LAST_LINES = 20
# What a program needs to work at all; everything else, and every secret, stays behind.
_KEPT = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "NO_COLOR", "TERM",
    "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "SYSTEMDRIVE", "COMSPEC", "PATHEXT", "WINDIR",
    "USERPROFILE", "APPDATA", "LOCALAPPDATA", "XDG_CACHE_HOME", "PYENV_ROOT",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """A program's end: its exit code and what it wrote, as text."""

    code: int
    stdout: str
    stderr: str


def scrubbed(environ: Mapping[str, str], extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment without secrets for a child that has no need of them."""
    kept = {name: value for name, value in environ.items() if name in _KEPT}
    return {**kept, **(extra or {})}


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    accept: tuple[int, ...] = (0,),
    where: str = "",
) -> Result:
    """Run a program to its end with captured output and no standard input.

    `env` is the whole environment of the child (this process's scrubbed one by default).
    Raises PipelineError with the command and the last lines of its output when the exit
    code is not in `accept`, or when the program is not there.
    """
    words = [str(word) for word in command]
    where = where or Path(words[0]).name
    environment = scrubbed(os.environ) if env is None else dict(env)
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise PipelineError(
            where,
            f"{words[0]} cannot be started: {error.strerror}",
            f"Install it, or look at PATH. The folder was {cwd}.",
        ) from error
    stdout = done.stdout.decode("utf-8", "replace")
    stderr = done.stderr.decode("utf-8", "replace")
    if done.returncode not in accept:
        tail = "\n".join((stderr.strip() or stdout.strip()).splitlines()[-_LAST_LINES:])
        raise PipelineError(where, f"exit code {done.returncode} from {shlex.join(words)}", tail)
    return Result(done.returncode, stdout, stderr)


def attach(command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str]) -> int:
    """Run a program on this process's own input and output, and return its exit code."""
    words = [str(word) for word in command]
    try:
        return subprocess.run(words, cwd=cwd, env=dict(env), check=False).returncode
    except OSError as error:
        raise PipelineError(
            Path(words[0]).name, f"{words[0]} cannot be started: {error.strerror}", "Look at PATH."
        ) from error
