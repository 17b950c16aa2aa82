"""What stays out of a function zip where the runtime's SDK is used."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from pipeline.function.python.requirements import SDK, markers_of, sdk_files
from pipeline.function.python.requirements import needed as needed_on
from pipeline.project.runtimes import runtime_named

ON_LAMBDA = markers_of(runtime_named("python3.13", where=""), "arm64")
needed = partial(needed_on, markers=ON_LAMBDA)
_REAL = {
    "boto3": ["botocore<1.45,>=1.44", "jmespath<2,>=0.7.1", "s3transfer<0.20,>=0.19"],
    "botocore": ["jmespath<2", "python-dateutil<3,>=2.1", 'urllib3<3; python_version >= "3.10"'],
    "s3transfer": ["botocore<2", 'botocore[crt]<2; extra == "crt"'],
    "python-dateutil": ["six>=1.5"],
    "jmespath": [],
    "six": [],
    "urllib3": [],
}


def _distribution(site: Path, name: str, requires: Sequence[str], files: Sequence[str]) -> None:
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    lines = [f"Requires-Dist: {line}" for line in requires]
    (info / "METADATA").write_text("\n".join([f"Name: {name}", "Version: 1.0", *lines, "", ""]))
    names = [*files, f"{info.name}/METADATA", f"{info.name}/RECORD"]
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in names))
    for file in files:
        (site / file).parent.mkdir(parents=True, exist_ok=True)
        (site / file).write_bytes(b"")


def test_the_sdk_goes_as_a_whole() -> None:
    """With boto3 alone nothing of it stays."""
    assert needed(_REAL, ["boto3>=1.40"]) & set(SDK) == set()


def test_what_another_dependency_needs_stays() -> None:
    """When pandas needs dateutil, and that needs six, both stay and the rest goes."""
    assert needed({**_REAL, "pandas": ["python-dateutil>=2.8.2"]}, ["pandas", "boto3"]) == {
        "pandas",
        "python-dateutil",
        "six",
    }


def test_what_the_project_names_itself_stays() -> None:
    """A package that the function imports by itself is not left to the runtime's version."""
    assert needed(_REAL, ["boto3", "urllib3>=2"]) == {"urllib3"}


def test_a_dependency_on_boto3_keeps_all_of_it() -> None:
    """Where a dependency that stays requires boto3, its version is not the runtime's to choose."""
    assert needed({**_REAL, "awswrangler": ["boto3>=1.20"]}, ["awswrangler"]) >= set(SDK)


def test_extras_count_when_asked_for() -> None:
    """A requirement of an extra counts only where somebody asks for that extra."""
    requires = {**_REAL, "tool": ['jmespath>=1; extra == "query"']}
    assert "jmespath" not in needed(requires, ["tool"])
    assert "jmespath" in needed(requires, ["tool[query]>=1"])


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "c", "d"]),
        st.lists(st.sampled_from([*SDK, "a", "b", "c"])),
    )
)
def test_what_stays_is_complete(others: dict[str, list[str]]) -> None:
    """Everything that stays finds what it requires, and nothing but the SDK ever goes."""
    stays = needed({**_REAL, **others}, ["boto3"])
    for name, required in others.items():
        assert {name, *required} <= stays
    if "boto3" in stays:
        assert stays >= set(SDK)
    if "python-dateutil" in stays:
        assert "six" in stays


def test_files_of_the_sdk(tmp_path: Path) -> None:
    """A distribution goes with all files its RECORD names, metadata included."""
    _distribution(tmp_path, "boto3", ["six"], ["boto3/__init__.py", "boto3/data/x.json"])
    _distribution(tmp_path, "six", [], ["six.py"])
    _distribution(tmp_path, "Other_Tool", ["six"], ["other/__init__.py"])
    left_out = sdk_files(tmp_path, ["boto3", "other-tool"], ON_LAMBDA)
    assert left_out >= {"boto3/__init__.py", "boto3/data/x.json", "boto3-1.0.dist-info/METADATA"}
    assert not any(name.startswith(("six", "other", "Other")) for name in left_out)
