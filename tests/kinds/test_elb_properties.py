"""What holds for any line and any file, not only for those somebody thought of."""

from __future__ import annotations

import gzip
import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kinds.shipping import Load, Storage, lines_in, ship

_quiet = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
_bare = st.text(st.characters(exclude_characters=' "\n\r', exclude_categories=["Cs"]), min_size=1)
_path = st.text(st.characters(exclude_characters=' "?\\', exclude_categories=["Cs"]))
_quoted = st.text(st.characters(exclude_characters='"\\', exclude_categories=["Cs"]), min_size=1)


# What a column of an ordinary line may hold, and a request; some make no line at all.
_ordinary = st.characters(exclude_characters=' "\\', exclude_categories=["Cs", "Cc"])
_word = st.text(_ordinary, min_size=1)
_url = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "http://", "https://shop.example:443", "x-y://"]),
    st.text(_ordinary),
    st.sampled_from(["", "?", "?a=b/c?d"]),
)
_request = st.one_of(
    st.builds("{} {} {}".format, _word, _url, st.sampled_from(["HTTP/1.1", "HTTP/2", "-", "- "])),
    st.sampled_from(["- - - ", "-", "", "GET / HTTP/1.1 x"]),
    st.text(_ordinary | st.just(" ")),
)
_any_text = st.text(st.characters() | st.sampled_from('\ud800\u2028\0"\\'), min_size=1)
_column = _word | st.builds('"{}"'.format, st.text(_ordinary | st.just(" ")))


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
@given(
    start=st.binary(max_size=20),
    columns=st.lists(st.tuples(*[st.binary(max_size=6)] * 3), max_size=3),
    place=st.tuples(*[_any_text] * 3),
    component=_any_text,
)
def test_any_bytes_give_documents_with_the_lines(
    load: Load,
    start: bytes,
    columns: list[tuple[bytes, bytes, bytes]],
    place: tuple[str, str, str],
    component: str,
) -> None:
    """Whatever is in a file, a name or a setting: all documents parse, and have each line whole."""
    usual = _line(path="PATH", agent="AGENT").encode()
    content = start
    for host, path, agent in columns:
        line = usual.replace(b"shop.example", host).replace(b"PATH", b"/" + path)
        content += b"\n" + line.replace(b"AGENT", agent)
    sent, summary = ship(load, gzip.compress(content), place=place, component=component)
    documents = [json.loads(document) for document in sent]
    found = [line for document in documents for line in lines_in(document["message"])]
    assert found == lines_in(content.decode(errors="backslashreplace"))
    assert len({document["id"] for document in documents}) == len(documents) == summary.sent
    for document in documents:
        assert document["Component"] == component
        assert document["Source"]["S3"] == {"Bucket": place[0], "Key": place[1]}


@_quiet
@given(kind=st.sampled_from(["", "h2 "]), request=_request, more=st.lists(_column, max_size=4))
def test_both_patterns_read_a_line_alike(
    load: Load, kind: str, request: str, more: list[str]
) -> None:
    """A tab in the user agent sends a line another way, and changes no other field."""

    def fields(agent: str) -> dict[str, Any] | None:
        line = _line(agent=agent).replace("GET https://shop.example:443/?a=b HTTP/1.1", request)
        line = " ".join([kind + line.removesuffix(" cipher TLSv1.2"), *more])
        try:
            members = load("parse").json_members(line)
        except load("parse").MalformedLineError:
            return None
        found: dict[str, Any] = json.loads("{" + members + "}")
        assert (found.pop("UserAgent"), found.pop("message")) == (agent, line)
        return found

    assert fields("agent") == fields("age\tnt")


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
    lines = [line for some in load("lines").read_lines(Storage(stored, step)) for line in some]
    expected = [
        line.decode(errors="backslashreplace").removesuffix("\r") for line in content.split(b"\n")
    ]
    assert [line for line in lines if line] == [line for line in expected if line]


@pytest.mark.parametrize(
    "piece",
    [*('\\" ', '" "', '\\"', ' "\\" ', '"\\\\', "a ", '\\" "x'), *(" HTTP/1", "a://", "? ", "- ")],
)
def test_no_line_takes_long(load: Load, piece: str) -> None:
    """The expression takes no more than a moment for long lines made to confuse it."""
    parse = load("parse")
    usual = _line()
    start = time.process_time()
    for line in (
        piece * 20_000,
        usual + piece * 20_000,
        usual + ' "' + piece * 20_000 + "\t",
        usual.replace(" HTTP/1.1", piece * 20_000),
    ):
        with suppress(parse.MalformedLineError):
            parse.json_members(line)
    assert time.process_time() - start < 2
