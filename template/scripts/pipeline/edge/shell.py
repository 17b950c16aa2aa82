"""Running programs: with captured output, on this terminal, or with output read line by line.

Only the embedded AWS starts processes elsewhere, because it keeps them after the call.
"""

from __future__ import annotations

import os
import queue
import shlex
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..core.errors import PipelineError

_LAST_LINES = 20
_GRACE_SECONDS = 10.0
# What a program needs to work at all; everything else, and every secret, stays behind.
_KEPT = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "NO_COLOR", "TERM",
    "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "SYSTEMDRIVE", "COMSPEC", "PATHEXT", "WINDIR",
    "USERPROFILE", "APPDATA", "LOCALAPPDATA", "XDG_CACHE_HOME", "PYENV_ROOT",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
)  # fmt: skip

# An AWS client looks into the user's files even where it is given all it needs.
NOTHING_REAL = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


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
    full = scrubbed(os.environ) if env is None else dict(env)
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env=full,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise _cannot_start(words[0], where, cwd, error) from error
    stdout = done.stdout.decode("utf-8", "replace")
    stderr = done.stderr.decode("utf-8", "replace")
    if done.returncode not in accept:
        tail = "\n".join((stderr.strip() or stdout.strip()).splitlines()[-_LAST_LINES:])
        raise PipelineError(where, f"exit code {done.returncode} from {shlex.join(words)}", tail)
    return Result(done.returncode, stdout, stderr)


def attach(command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str]) -> int:
    """Run a program on this process's own input and output, and return its exit code.

    A Ctrl-C is the program's, which may tidy up or go back to its prompt. Raises KeyboardInterrupt
    where one came and the program did not end well.
    """
    child = _started(command, cwd, env)
    is_told = False
    while True:
        try:
            code = child.wait()
        except KeyboardInterrupt:
            # The terminal has sent the signal to the program as well.
            is_told = True
            continue
        if is_told and code:
            raise KeyboardInterrupt
        return code


def stream(
    command: Sequence[str | Path],
    take: Callable[[str, bool], None],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: bytes = b"",
    patient: bool = False,
) -> int:
    """Run a program and return its exit code; `take(line, is_error)` gets every line of output.

    `env` is the child's whole environment, `stdin` what its standard input gets. Lines keep
    their order within each stream. When the caller is interrupted or `take` fails, the program
    is asked to end, and killed when it does not. A `patient` caller hands its interrupts on, one
    by one, and takes what the program says and returns after them; the third one is its own.
    """
    child = _started(command, cwd, env, subprocess.PIPE)
    try:
        _pump(child, stdin, take, patience=2 if patient else 0)
        return child.wait()
    finally:
        _end(child)


def _started(
    command: Sequence[str | Path], cwd: Path, env: Mapping[str, str], pipe: int | None = None
) -> subprocess.Popen[bytes]:
    words = [str(word) for word in command]
    try:
        # A list, never a shell.
        return subprocess.Popen(words, cwd=cwd, env=dict(env), stdin=pipe, stdout=pipe, stderr=pipe)
    except OSError as error:
        raise _cannot_start(words[0], Path(words[0]).name, cwd, error) from error


def _cannot_start(program: str, where: str, cwd: Path, error: OSError) -> PipelineError:
    what = f"{program} cannot be started: {error.strerror}"
    return PipelineError(where, what, f"Install it, or look at PATH. The folder was {cwd}.")


def _pump(
    child: subprocess.Popen[bytes],
    stdin: bytes,
    take: Callable[[str, bool], None],
    patience: int,
) -> None:
    lines: queue.Queue[tuple[str, bool] | None] = queue.Queue()
    pipes = ((child.stdout, False), (child.stderr, True))
    for pipe, is_error in pipes:
        threading.Thread(target=_read, args=(pipe, lines, is_error), daemon=True).start()
    threading.Thread(target=_feed, args=(child.stdin, stdin), daemon=True).start()
    open_pipes = len(pipes)
    while open_pipes:
        try:
            line = lines.get()
            if line is None:
                open_pipes -= 1
            else:
                take(*line)
        except KeyboardInterrupt:
            if not patience:
                raise
            patience -= 1
            if os.name == "posix":
                # Elsewhere this would kill it, and the console has told it already.
                child.terminate()


def _read(
    pipe: IO[bytes] | None, lines: queue.Queue[tuple[str, bool] | None], is_error: bool
) -> None:
    try:
        for raw in pipe or ():
            lines.put((raw.decode("utf-8", "replace").rstrip("\r\n"), is_error))
    finally:
        lines.put(None)


def _feed(pipe: IO[bytes] | None, data: bytes) -> None:
    if pipe is not None:
        try:
            pipe.write(data)
            pipe.close()
        except BrokenPipeError:
            # The program ended without reading; its exit code tells the rest.
            return


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    for pipe in (child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()
