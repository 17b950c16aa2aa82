"""What holds for any line and any file, not only for those somebody thought of."""

from __future__ import annotations

import gzip
import io
import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

_quiet = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
_bare = st.text(st.characters(exclude_characters=' "\n\r', exclude_categories=["Cs"]), min_size=1)
_path = st.text(st.characters(exclude_characters=' "?\\', exclude_categories=["Cs"]))
_quoted = st.text(st.characters(exclude_characters='"\\', exclude_categories=["Cs"]), min_size=1)


class Load(Protocol):
    """A function from a module's short name to the module."""

    def __call__(self, name: str) -> Any:
        """Import the module."""
        ...


class _Trickle:
    """Gives a few bytes at a time, as a network does."""

    def __init__(self, content: bytes, step: int) -> None:
        self._content = io.BytesIO(content)
        self._step = step

    def read(self, _amount: int) -> bytes:
        return self._content.read(self._step)


def _line(
    name: str = "shop", path: str = "/", agent: str = "curl", taken: str = "0.2", size: int = 7
) -> str:
    return (
        f"2014-03-01T08:15:30.123456Z {name} 203.0.113.7:40001 10.1.2.3:8080 0.1 {taken} 0.3 "
        f'200 200 12 {size} "GET https://shop.example:443{path}?a=b HTTP/1.1" "{agent}" cipher '
        "TLSv1.2"
    )


@_quiet
@given(line=st.text(st.characters(exclude_categories=["Cs"])) | st.from_regex(r'[" \\a-]{5,60}'))
def test_any_text_is_parsed_or_refused(load: Load, line: str) -> None:
    """No text makes the parser fail in another way than saying that the line is malformed."""
    parse = load("parse")
    try:
        members = parse.json_members(line)
    except parse.MalformedLineError:
        return
    assert json.loads("{" + members + "}")["message"] == line


@_quiet
@given(name=_bare, path=_path, agent=_quoted, kind=st.sampled_from(["", "h2 "]))
def test_columns_survive(load: Load, name: str, path: str, agent: str, kind: str) -> None:
    """Whatever stands in a column of text stands in its field, character for character."""
    line = kind + _line(name=name, path=f"/{path}", agent=agent)
    fields = json.loads("{" + load("parse").json_members(line) + "}")
    assert fields["LoadBalancerName"] == name
    assert (fields["Path"], fields["UserAgent"]) == (f"/{path}", agent)
    assert fields["message"] == line


@_quiet
@given(seconds=st.floats(0, 9e5, allow_nan=False), size=st.integers(0, 2**63))
def test_numbers_survive(load: Load, seconds: float, size: int) -> None:
    """Times become the nearest millisecond, sizes stay what they are."""
    line = _line(taken=f"{seconds:.6f}", size=size)
    fields = json.loads("{" + load("parse").json_members(line) + "}")
    assert fields["TimeTaken"] == round(float(f"{seconds:.6f}") * 1000)
    assert fields["BytesDownloadedByClient"] == size


@_quiet
@given(agent=st.text(st.characters(exclude_characters="\\", exclude_categories=["Cs"]), min_size=1))
def test_escaped_quotes_are_quotes(load: Load, agent: str) -> None:
    """An agent with quotes comes back as it was, when its quotes were escaped."""
    line = _line(agent=agent.replace('"', '\\"'))
    fields = json.loads("{" + load("parse").json_members(line) + "}")
    assert fields["UserAgent"] == agent


@_quiet
@given(content=st.binary(max_size=400), step=st.integers(1, 50), zipped=st.booleans())
def test_any_file_is_cut_at_its_newlines(
    load: Load, content: bytes, step: int, *, zipped: bool
) -> None:
    """The lines of any file are what lies between its newlines, however the bytes arrive."""
    if content.startswith(b"\x1f\x8b"):
        zipped = True
    stored = gzip.compress(content) if zipped else content
    lines = [line for some in load("lines").read_lines(_Trickle(stored, step)) for line in some]
    expected = [
        line.decode(errors="backslashreplace").removesuffix("\r") for line in content.split(b"\n")
    ]
    assert [line for line in lines if line] == [line for line in expected if line]


@pytest.mark.parametrize("piece", ['\\" ', '" "', '\\"', ' "\\" ', '"\\\\', "a ", '\\" "x'])
def test_no_line_takes_long(load: Load, piece: str) -> None:
    """The expression takes no more than a moment for long lines made to confuse it."""
    parse = load("parse")
    usual = _line()
    start = time.perf_counter()
    for line in (piece * 20_000, usual + piece * 20_000, usual + ' "' + piece * 20_000 + "\t"):
        with suppress(parse.MalformedLineError):
            parse.json_members(line)
    assert time.perf_counter() - start < 2


def test_real_lines(load: Load, real_data: Path) -> None:
    """Every line that a load balancer really wrote is parsed, and keeps its columns."""
    files = sorted(real_data.glob("*.log"))
    assert len(files) >= 5
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            if not line:
                continue
            fields = json.loads("{" + load("parse").json_members(line) + "}")
            columns = line.split(" ")[1 if file.name == "application.log" else 0 :]
            assert fields["@timestamp"] == columns[0]
            assert fields["LoadBalancerName"] == columns[1]
            assert [fields["Status"], fields["BackendStatus"]] == columns[7:9]
            assert [fields["BytesUploadedFromClient"], fields["BytesDownloadedByClient"]] == [
                int(columns[9]),
                int(columns[10]),
            ]
            for name, column in zip(
                ("TimeToForwardRequest", "TimeTaken", "TimeToForwardResponse"),
                columns[4:7],
                strict=True,
            ):
                expected = None if column == "-1" else round(float(column) * 1000)
                assert fields.get(name) == expected
            assert fields["message"] == line
