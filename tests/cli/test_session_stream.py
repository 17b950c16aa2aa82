"""Documents that come one after another: JSON lines, and nothing else on standard output."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from invoke import Exit
from pipeline.cli.session import session
from pipeline.core.errors import PipelineError


def test_a_stream_has_a_document_on_each_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last one is the error, where there was one; secrets are masked in each."""
    with session(tmp_path, json=True, verbose=False) as run:
        run.secrets.append("hunter2-hunter2")
        run.stream([{"n": 1}, {"n": "hunter2-hunter2"}])
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first, second["n"].startswith("hunter")) == ({"n": 1}, False)
    with pytest.raises(Exit):
        _fail(tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert [*map(json.loads, lines)][1]["error"]["what"] == "gone"


def _fail(root: Path) -> None:
    with session(root, json=True, verbose=False) as run:
        run.stream([{"n": 1}])
        raise PipelineError("logs", "gone")
