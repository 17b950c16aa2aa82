"""Verbs as their users type them, in this process: no Python has to start for each."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from invoke import Collection
from pipeline.cli.program import main
from pipeline.tasks import namespace


def run_verb(
    root: Path, *words: str, environ: Mapping[str, str] | None = None, stdin: str = "",
    verbs: Callable[[Path], Collection] = namespace,
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """Run a command line in the folder `root`, with nothing in its environment but `environ`.

    `verbs` are a repository's, unless they are the maintainers'.
    """
    streams = {name: io.TextIOWrapper(io.BytesIO(), "utf-8") for name in ("stdout", "stderr")}
    with pytest.MonkeyPatch.context() as here:
        for name in os.environ:
            here.delenv(name)
        for name, value in {"PATH": "/usr/bin:/bin", **(environ or {})}.items():
            here.setenv(name, value)
        here.chdir(root)
        here.setattr(sys, "argv", ["tasks.py", *words])
        here.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8"))
        for name, stream in streams.items():
            here.setattr(sys, name, stream)
        with pytest.raises(SystemExit) as end:
            main(verbs(root), root)
        for stream in streams.values():
            stream.flush()
    out, err = (stream.buffer.getvalue().decode() for stream in streams.values())
    code = end.value.code
    assert isinstance(code, int)
    return subprocess.CompletedProcess([*words], code, out, err)
