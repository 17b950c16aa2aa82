"""The streaming form of `shell`: a program's lines are read one by one, as they come."""

from __future__ import annotations

import queue
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..errors import PipelineError

__all__ = ["Program", "stream"]

_GRACE_SECONDS = 10.0


@dataclass(frozen=True)
class Program:
    """A command, its folder, its whole environment, and what its standard input gets."""

    command: Sequence[str | Path]
    cwd: Path
    env: Mapping[str, str]
    stdin: bytes = b""


def stream(program: Program, take: Callable[[str, bool], None]) -> int:
    """Run a program and return its exit code; `take(line, is_error)` gets every line of output.

    Lines keep their order within each stream. When the caller is interrupted or `take` fails,
    the program is asked to end, and killed when it does not.
    """
    words = [str(word) for word in program.command]
    try:
        child = subprocess.Popen(  # a list, never a shell
            words,
            cwd=program.cwd,
            env=dict(program.env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        raise PipelineError(
            words[0], f"it cannot be started: {error.strerror}", f"The folder was {program.cwd}."
        ) from error
    try:
        _pump(child, program.stdin, take)
        return child.wait()
    finally:
        _end(child)


def _pump(child: subprocess.Popen[bytes], stdin: bytes, take: Callable[[str, bool], None]) -> None:
    lines: queue.Queue[tuple[str, bool] | None] = queue.Queue()
    pipes = ((child.stdout, False), (child.stderr, True))
    readers = [
        threading.Thread(
            target=_read, args=(pipe, lines), kwargs={"is_error": is_error}, daemon=True
        )
        for pipe, is_error in pipes
    ]
    readers.append(threading.Thread(target=_feed, args=(child.stdin, stdin), daemon=True))
    for reader in readers:
        reader.start()
    open_pipes = len(pipes)
    while open_pipes:
        line = lines.get()
        if line is None:
            open_pipes -= 1
        else:
            take(*line)


def _read(
    pipe: IO[bytes] | None, lines: queue.Queue[tuple[str, bool] | None], *, is_error: bool
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
