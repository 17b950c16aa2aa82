"""JSON from outside: what is plain is read, and whatever else there is ends in a known error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline.core.errors import PipelineError
from pipeline.core.strict_json import parse_json

from tests.words import refused

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(plain, st.booleans())
def test_a_plain_document_is_read(document: Any, ascii_only: bool) -> None:
    """With escapes or without, and behind the mark that some editors put in front."""
    data = json.dumps(document, ensure_ascii=ascii_only).encode()
    assert parse_json(data, "x") == document
    assert parse_json(b"\xef\xbb\xbf" + data, "x") == document


@pytest.mark.parametrize("data", [rb'{"a": "x\ud83d"}', b'{"a": 1, "a": "x\\ud83d"}'])
def test_an_answer_is_taken_as_it_is(data: bytes) -> None:
    """A log that was cut within a character must not end who waits for it."""
    assert parse_json(data, "x", is_answer=True) == {"a": "x\ud83d"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"{",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"[" * 65 + b"]" * 65,
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"1" * 20,
        b"1" * 5_000,
        b'{"a": 1, "a": 1}',
        b'[{"b": {"a": 1, "\\u0061": 2}}]',
        rb'"\ud800"',
        rb'{"\udfff": 1}',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        '"x"'.encode("utf-16"),
        b'"' + b"x" * 2_000 + b'"',
    ],
)
def test_anything_else_is_a_known_error(data: bytes) -> None:
    """Named by the place it came from, short, and never a trace."""
    with refused("the answer", PipelineError, {r"read: .+": "read: WHAT PYTHON SAYS"}) as caught:
        parse_json(data, "the answer", largest=1_500_000 if len(data) > 10_000 else 2_000)
    assert len(str(caught.value)) < 300


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_no_surprise(data: bytes) -> None:
    """Whatever comes out can be written again."""
    try:
        document = parse_json(data, "x")
    except PipelineError:
        return
    assert json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
