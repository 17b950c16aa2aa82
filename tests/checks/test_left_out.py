"""What stays out of a function zip where the runtime's SDK is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import cast

from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from pipeline.function.python.requirements import SDK, Site, left_to_runtime, markers_of
from pipeline.project.runtimes import runtime_named

ON_LAMBDA = markers_of(runtime_named("python3.13", where=""), "arm64")
_REAL = {
    "boto3": ["botocore<1.45,>=1.44", "jmespath<2,>=0.7.1", "s3transfer<0.20,>=0.19"],
    "botocore": ["jmespath<2", "python-dateutil<3,>=2.1", 'urllib3<3; python_version >= "3.10"'],
    "s3transfer": ["botocore<2", 'botocore[crt]<2; extra == "crt"'],
    "python-dateutil": ["six>=1.5"],
    "jmespath": [],
    "six": [],
    "urllib3": [],
}


def left(requires: Mapping[str, Sequence[str]], direct: Sequence[str]) -> frozenset[str]:
    """Return what goes of installed distributions that have these requirements."""
    installed = {name: SimpleNamespace(requires=lines) for name, lines in requires.items()}
    return left_to_runtime(cast("Site", installed), direct, ON_LAMBDA)


def test_the_sdk_goes_as_a_whole() -> None:
    """With boto3 alone nothing of it stays."""
    assert left(_REAL, ["boto3>=1.40"]) == set(SDK)


def test_what_another_dependency_needs_stays() -> None:
    """When pandas needs dateutil, and that needs six, both stay and the rest goes."""
    requires = {**_REAL, "pandas": ["python-dateutil>=2.8.2"]}
    assert left(requires, ["pandas", "boto3"]) == {*SDK} - {"python-dateutil", "six"}


def test_what_the_project_names_itself_stays() -> None:
    """A package that the function imports by itself is not left to the runtime's version."""
    assert left(_REAL, ["boto3", "urllib3>=2"]) == {*SDK} - {"urllib3"}


def test_a_dependency_on_boto3_keeps_all_of_it() -> None:
    """Where a dependency that stays requires boto3, its version is not the runtime's to choose."""
    assert left({**_REAL, "awswrangler": ["boto3>=1.20"]}, ["awswrangler"]) == set()


def test_extras_count_when_asked_for() -> None:
    """A requirement of an extra counts only where somebody asks for that extra."""
    requires = {**_REAL, "tool": ['jmespath>=1; extra == "query"']}
    assert "jmespath" in left(requires, ["tool"])
    assert "jmespath" not in left(requires, ["tool[query]>=1"])


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "c", "d"]),
        st.lists(st.sampled_from([*SDK, "a", "b", "c"])),
    )
)
def test_what_stays_is_complete(others: dict[str, list[str]]) -> None:
    """Everything that stays finds what it requires, and nothing but the SDK ever goes."""
    requires = {**_REAL, **others}
    gone = left(requires, ["boto3"])
    assert gone <= {*SDK}
    for name in requires.keys() - gone:
        asked = {Requirement(line).name for line in requires[name]}
        assert not gone & asked
