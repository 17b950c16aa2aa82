"""Lambda's limits on sizes and settings, at their edges."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.archive.zipreader import Entry
from pipeline.engines.limits import (
    description_reasons,
    environment_reasons,
    handler_reasons,
    name_reasons,
    size_reasons,
    tag_reasons,
)
from pipeline.values.manifest import ZipFacts

_MB = 1 << 20


def _facts(*, size: int = 0, unzipped: int = 0) -> ZipFacts:
    return ZipFacts("", "", size, unzipped, 1)


def _entry(name: str, size: int) -> Entry:
    return Entry(name, 0o644, size, size // 4, 0, 8, 0)


def _entries(*entries: Entry) -> Callable[[], tuple[Entry, ...]]:
    return lambda: entries


def test_the_largest_function_that_fits() -> None:
    """250 MB unzipped and 50 MB zipped are taken, a byte more of either is not."""
    assert size_reasons(_facts(size=50 * _MB, unzipped=262_144_000), _entries()) == []
    assert len(size_reasons(_facts(size=50 * _MB + 1, unzipped=262_144_001), _entries())) == 2


def test_a_large_function_says_what_is_large() -> None:
    """The largest parts come first with their sizes, and the settings that would leave some out."""
    entries = _entries(
        _entry("numpy/core/a.so", 90 * _MB),
        _entry("numpy.libs/blas.so", 40 * _MB),
        _entry("pandas/tests/big.csv", 100 * _MB),
        _entry("botocore/data/ec2.json", 60 * _MB),
        _entry("app/model.bin", 10 * _MB),
    )
    (reason,) = size_reasons(_facts(unzipped=300 * _MB), entries, {"app/model.bin"})
    assert "300.0 MB unzipped, Lambda takes 250 MB" in reason
    assert "numpy 130.0 MB, pandas 100.0 MB, botocore 60.0 MB, src/app 10.0 MB" in reason
    assert 'boto3 = "runtime" may leave out 60.0 MB' in reason
    assert "leave-out-tests = true up to 100.0 MB" in reason


def test_a_large_zip_has_no_way_around_yet() -> None:
    """Over 50 MB a bucket would be needed; that there is no setting for one is said."""
    entries = _entries(_entry("a/b", 60 * _MB))
    (reason,) = size_reasons(_facts(size=60 * _MB, unzipped=60 * _MB), entries)
    assert "function.zip is 60.0 MB" in reason
    assert "no setting yet for a bucket" in reason
    assert "a 15.0 MB" in reason


def test_the_largest_environment_that_fits() -> None:
    """4096 bytes of JSON are taken, one more is not, and characters count as UTF-8."""
    frame = len(json.dumps({"KEY": ""}, separators=(",", ":")))
    assert environment_reasons({"KEY": "x" * (4096 - frame)}, "CI") == []
    (reason,) = environment_reasons({"KEY": "x" * (4097 - frame), "B1": ""}, "CI")
    assert "the environment for CI is 4105 bytes, Lambda takes 4096; the longest is KEY" in reason
    assert environment_reasons({"KEY": "\N{EURO SIGN}" * 1400}, "CI")


@pytest.mark.parametrize(
    "name", ["AWS_REGION", "_HANDLER", "LAMBDA_TASK_ROOT", "AWS_ACCESS_KEY_ID"]
)
def test_reserved_names(name: str) -> None:
    """What Lambda sets itself is not ours to set."""
    (reason,) = name_reasons([name])
    assert reason.startswith(f"{name} is set by Lambda itself")


@pytest.mark.parametrize("name", ["A", "1A", "A-B", "_A", "", "Ä1", "A B", "A1\n"])
def test_malformed_names(name: str) -> None:
    """A name is a letter and at least one more letter, digit or underscore."""
    (reason,) = name_reasons([name])
    assert reason.startswith(f"{name!r} is no name for an environment variable")


@given(st.lists(st.from_regex(r"[A-Za-z][A-Za-z0-9_]+", fullmatch=True).filter(str.isascii)))
def test_good_names(names: list[str]) -> None:
    """No other name is refused, those included that AWS gives a meaning but lets people set."""
    ours = [name for name in names if not name.startswith(("AWS_", "LAMBDA_"))]
    assert name_reasons([*ours, "AWS_LAMBDA_EXEC_WRAPPER", "PATH", "TZ"]) == []


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"k" * 129: "v"}, "129 characters, AWS takes 128"),
        ({"k": "v" * 257}, "257 characters, AWS takes 256"),
        ({"": "v"}, "0 characters, AWS takes 1 to 128"),
        ({"aws:x": "v"}, "AWS's own"),
        ({"AWS:x": "v"}, "AWS's own"),
        ({f"k{number}": "" for number in range(51)}, "51 tags, AWS takes 50"),
    ],
)
def test_tags_that_are_refused(tags: dict[str, str], said: str) -> None:
    """Each limit of AWS's tags is told with its figures."""
    (reason,) = tag_reasons(tags)
    assert said in reason


def test_tags_at_their_limits() -> None:
    """The longest name and value are taken, and an empty value."""
    assert tag_reasons({"k" * 128: "v" * 256, "empty": ""}) == []


def test_handler_and_description() -> None:
    """128 and 256 characters are taken, one more is not; a handler holds no space."""
    assert handler_reasons("a." + "b" * 126) == description_reasons("d" * 256) == []
    assert handler_reasons("a." + "b" * 127) == ["the handler has 129 characters, AWS takes 128"]
    assert handler_reasons("a. b") == ["the handler 'a. b' holds a space"]
    assert description_reasons("d" * 257) == ["the description has 257 characters, AWS takes 256"]
