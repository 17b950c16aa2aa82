"""Lines of every published format, and odd, broken and hostile ones, with their right documents."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.kinds.shipping import (
    TABLE,
    Load,
    content_of,
    damaged_files,
    faults,
    own_fields,
    ship,
)


@pytest.mark.parametrize("row", TABLE, ids=[row["about"] for row in TABLE])
def test_documents_of_the_table(load: Load, row: dict[str, Any]) -> None:
    """Each file gives the documents that the table says: a field is right or absent."""
    documents, summary = ship(load, content_of(row))
    assert [own_fields(document) for document in documents] == row["documents"]
    malformed = sum("ParseError" in document for document in row["documents"])
    assert (summary.sent, summary.parsing.total) == (len(row["documents"]), malformed)
    assert summary.parsed == summary.sent - malformed


def test_reading_in_small_pieces_changes_nothing(load: Load) -> None:
    """However few bytes come at a time, the documents and their ids are the same."""
    content = b"".join(content_of(row).rstrip(b"\n") + b"\n" for row in TABLE)
    whole, _ = ship(load, content)
    for step in (1, 7, 500):
        assert ship(load, content, step=step)[0] == whole


def test_damaged_lines_give_true_documents(load: Load) -> None:
    """Whatever is changed in a line, its document is JSON, and its message is the line."""
    assert faults(load, damaged_files(seed=1, count=18_000)) == {}


def test_no_group_is_repeated_possessively() -> None:
    """Python 3.11.0 to 3.11.4 match such a group wrongly (CPython gh-106052), good lines too."""
    sources = list((Path(__file__).parents[2] / "template").glob("src/*/*.py*"))
    assert any(source.name == "parse.py" for source in sources)
    possessive = re.compile(r"\)[*+?]\+")
    assert [path.name for path in sources if possessive.search(path.read_text("utf-8"))] == []
