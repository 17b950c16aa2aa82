"""Lambda's limits on sizes and settings, at their edges."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.checks.limits import (
    environment_reasons,
    function_name_reasons,
    length_reasons,
    name_reasons,
    size_reasons,
    tag_reasons,
)
from pipeline.core.manifest import ZipFacts
from pipeline.core.text import readable_size
from pipeline.project.project import Function
from pipeline.project.runtimes import runtime_named
from pipeline.zip.reader import Entry

from tests.words import assert_said

_MB = 1 << 20
FUNCTION = Function("F", runtime_named("python3.13", where="test"), "arm64", "a.b", "", {}, {})


def _facts(*, size: int = 0, unzipped: int = 0) -> ZipFacts:
    return ZipFacts("", "", size, unzipped, 1)


def _entry(name: str, size: int) -> Entry:
    return Entry(name, 0o644, size, size // 4, 0, 8, 0)


def _entries(*entries: Entry) -> Callable[[], tuple[Entry, ...]]:
    return lambda: entries


def test_the_largest_function_that_fits() -> None:
    """250 MB unzipped and 50 MB zipped are taken, a byte more of either is not."""
    assert size_reasons(_facts(size=50 * _MB, unzipped=262_144_000), FUNCTION, _entries()) == []
    over = _facts(size=50 * _MB + 1, unzipped=262_144_001)
    assert len(size_reasons(over, FUNCTION, _entries())) == 2


def test_a_large_function_says_what_is_large() -> None:
    """The largest parts come first with their sizes, and the settings that leave files out."""
    entries = _entries(
        _entry("numpy/core/a.so", 90 * _MB),
        _entry("numpy.libs/blas.so", 40 * _MB),
        _entry("pandas/tests/big.csv", 100 * _MB),
        _entry("botocore/data/ec2.json", 60 * _MB),
        _entry("app/model.bin", 10 * _MB),
    )
    facts = _facts(unzipped=300 * _MB)
    (reason,) = size_reasons(facts, FUNCTION, entries, {"app/model.bin"})
    assert_said(reason)


def test_the_size_of_a_person_is_lambdas() -> None:
    """What is shown of a zip at its limit is the limit's figure."""
    assert readable_size(50 * _MB) == "50.0 MB"
    assert (readable_size(1023), readable_size(1536)) == ("1023 bytes", "1.5 kB")


def test_a_large_zip_needs_a_bucket() -> None:
    """Over 50 MB one is asked for; with one, only the size unzipped counts."""
    entries = _entries(_entry("a/b", 60 * _MB))
    (reason,) = size_reasons(_facts(size=60 * _MB, unzipped=60 * _MB), FUNCTION, entries)
    assert_said(reason)
    through = replace(FUNCTION, bucket="code")
    assert size_reasons(_facts(size=60 * _MB, unzipped=60 * _MB), through, entries) == []
    assert len(size_reasons(_facts(size=60 * _MB, unzipped=300 * _MB), through, entries)) == 1


def test_the_largest_environment_that_fits() -> None:
    """4096 bytes of JSON are taken, one more is not, and characters count as UTF-8."""
    frame = len(json.dumps({"KEY": ""}, separators=(",", ":")))
    assert environment_reasons({"KEY": "x" * (4096 - frame)}, "CI") == []
    (reason,) = environment_reasons({"KEY": "x" * (4097 - frame), "B1": ""}, "CI")
    assert_said(reason)
    assert environment_reasons({"KEY": "\N{EURO SIGN}" * 1400}, "CI")


@pytest.mark.parametrize(
    "name", ["AWS_REGION", "_HANDLER", "LAMBDA_TASK_ROOT", "AWS_ACCESS_KEY_ID"]
)
def test_reserved_names(name: str) -> None:
    """What Lambda sets itself is not ours to set."""
    (reason,) = name_reasons([name])
    assert_said(reason, {rf"\b{name}\b": "NAME"})


@pytest.mark.parametrize("name", ["A", "1A", "A-B", "_A", "", "Ä1", "A B", "A1\n"])
def test_malformed_names(name: str) -> None:
    """A name is a letter and at least one more letter, digit or underscore."""
    (reason,) = name_reasons([name])
    assert_said(reason, {re.escape(repr(name)): "'NAME'"})


@given(st.lists(st.from_regex(r"[A-Za-z][A-Za-z0-9_]+", fullmatch=True).filter(str.isascii)))
def test_good_names(names: list[str]) -> None:
    """No other name is refused, those included that AWS gives a meaning but lets people set."""
    ours = [name for name in names if not name.startswith(("AWS_", "LAMBDA_"))]
    assert name_reasons([*ours, "AWS_LAMBDA_EXEC_WRAPPER", "PATH", "TZ"]) == []


@pytest.mark.parametrize(
    "tags",
    [
        {"k" * 129: "v"},
        {"k": "v" * 257},
        {"": "v"},
        {"aws:x": "v"},
        {"AWS:x": "v"},
        {f"k{number}": "" for number in range(51)},
    ],
)
def test_tags_that_are_refused(tags: dict[str, str]) -> None:
    """Each limit of AWS's tags is told with its figures."""
    (reason,) = tag_reasons(tags)
    assert_said(reason)


def test_tags_at_their_limits() -> None:
    """The longest name and value are taken, and an empty value."""
    assert tag_reasons({"k" * 128: "v" * 256, "empty": ""}) == []


def test_handler_and_description() -> None:
    """128 and 256 characters are taken, one more is not."""
    for what, limit in (("handler", 128), ("description", 256)):
        assert length_reasons(what, "d" * limit) == []
        (reason,) = length_reasons(what, "d" * (limit + 1))
        assert_said(reason)


def test_names_of_the_function() -> None:
    """Everything that is wrong with a name is told with each environment it is wrong in."""
    assert function_name_reasons("Orders", ["CI", "Production"]) == []
    long = "x" * 54
    (reason,) = function_name_reasons(long, ["CI", "Production"])
    assert_said(reason)
    assert function_name_reasons("F", ["E" * 50]) == []
    (reason,) = function_name_reasons("F", ["E" * 51])
    assert_said(reason)
    one, two = function_name_reasons("My_Function", ["CI", "QA 1"])
    assert_said(f"{one}\n{two}")
