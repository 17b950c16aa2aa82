"""The manifest: what is written is read back, and nothing else is taken for one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.core.errors import PipelineError
from pipeline.core.manifest import Dependency, FunctionFacts, Manifest, Source, ZipFacts

from tests.words import assert_said, refused

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
maps = st.dictionaries(texts, texts, max_size=3)
dependencies = st.lists(
    st.builds(Dependency, texts, texts, st.lists(texts, max_size=2).map(tuple)), max_size=3
).map(tuple)
sizes = st.integers(0, 1 << 60)
words = st.text("azAZ09_", min_size=1, max_size=20)
free = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
kept = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
manifests = st.builds(
    Manifest,
    package_id=words,
    version=st.sampled_from(["1.0", "2.0.7", "2.0.7-p1", "1.2.3.4-a-b", "1.0.0-a.1+b.2"]),
    source=st.builds(
        Source,
        st.none() | st.text("09af", min_size=1, max_size=64),
        st.none() | free,
        st.none() | st.booleans(),
    ),
    function=st.builds(
        FunctionFacts,
        *(words, words, words, words, kept),
        st.dictionaries(words.map("A".__add__), kept, max_size=3),
        st.dictionaries(kept, kept, max_size=3),
    ),
    function_zip=st.builds(ZipFacts, texts, texts, sizes, sizes, sizes),
    dependencies=dependencies,
    tools=dependencies,
    environments=st.dictionaries(free, maps, max_size=3),
)
EXAMPLE = Manifest(
    package_id="Acme.Orders",
    version="2.0.7",
    source=Source("3f2c1ab", "main", dirty=False),
    function=FunctionFacts("Orders", "python3.13", "arm64", "app.handle", "Ünïcode", {}, {}),
    function_zip=ZipFacts("00", "AA==", 1, 2, 3),
    dependencies=(Dependency("boto3", "1.40.0", ("sha256:00",)),),
    tools=(),
    environments={"CI": {"region": "eu-west-1"}},
)


@given(manifests)
def test_a_manifest_survives_its_json(manifest: Manifest) -> None:
    """Writing and reading give an equal value, and the same bytes again."""
    data = manifest.to_json()
    again = Manifest.from_json(data, where="build.json")
    assert again == manifest
    assert again.to_json() == data


@given(manifests)
def test_the_order_of_mappings_does_not_show(manifest: Manifest) -> None:
    """The bytes depend on the facts, not on the order they were found in."""
    document: dict[str, Any] = json.loads(manifest.to_json())
    turned = json.dumps(dict(reversed(list(document.items())))).encode()
    assert Manifest.from_json(turned, where="x").to_json() == manifest.to_json()


def test_the_file_is_for_people_too() -> None:
    """Indented, in readable characters, with a final newline."""
    data = EXAMPLE.to_json()
    assert data.endswith(b"}\n")
    assert "Ünïcode" in data.decode()
    assert b'\n  "package_id": "Acme.Orders",\n' in data


@pytest.mark.parametrize("schema", [0, 2, "1", None])
def test_another_schema_is_refused(schema: object) -> None:
    """A package of another library version is named as that, with the way to read it."""
    document = {**json.loads(EXAMPLE.to_json()), "schema": schema}
    with refused("x.nupkg build.json", PipelineError):
        Manifest.from_json(json.dumps(document).encode(), where="x.nupkg build.json")


def test_a_manifest_without_one_of_its_parts_is_refused() -> None:
    """Every part is needed; the error names the one that is missing."""
    whole = json.loads(EXAMPLE.to_json())
    said: list[str] = []
    for key in sorted(whole):
        document = {name: value for name, value in whole.items() if name != key}
        with refused("x", PipelineError, said=said):
            Manifest.from_json(json.dumps(document).encode(), where="x")
    assert_said("\n".join(said))


def test_a_part_of_another_shape_is_refused() -> None:
    """A number, a list of numbers or a table of other keys is no manifest of ours."""
    said: list[str] = []
    for key in ("source", "function", "function_zip", "dependencies", "tools"):
        for value in (7, [7], {"seven": 7}):
            document = {**json.loads(EXAMPLE.to_json()), key: value}
            with refused("x", PipelineError, said=said):
                Manifest.from_json(json.dumps(document).encode(), where="x")
    assert_said("\n".join(dict.fromkeys(said)))


def test_a_function_of_a_newer_library_is_refused() -> None:
    """A fact that is not read would be missing on the function that is deployed."""
    document = json.loads(EXAMPLE.to_json())
    document["function"]["vpc"] = "x"
    with refused("x.nupkg build.json", PipelineError):
        Manifest.from_json(json.dumps(document).encode(), where="x.nupkg build.json")


@given(st.binary(max_size=40) | st.sampled_from([b"[]", b"{}", b"null", b"7", b'"x"', b'{"a":1}']))
def test_anything_else_is_refused_for_people(data: bytes) -> None:
    """Whatever the bytes are, a known error names the file and says what to do."""
    with pytest.raises(PipelineError, match=r"^x\.nupkg build\.json: ") as error:
        Manifest.from_json(data, where="x.nupkg build.json")
    assert error.value.then


def test_a_manifest_of_an_older_library() -> None:
    """What it did not know is not made up, nor added when it is written again."""
    document = json.loads(EXAMPLE.to_json())
    assert not {"boto3", "bucket"} & document["function"].keys()
    known = replace(EXAMPLE, function=replace(EXAMPLE.function, boto3="runtime"))
    assert json.loads(known.to_json())["function"]["boto3"] == "runtime"
    assert Manifest.from_json(known.to_json(), where="x") == known
