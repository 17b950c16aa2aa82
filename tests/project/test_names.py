"""The naming convention, and the limits of the two services that take the names."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.core.errors import PipelineError
from pipeline.core.names import (
    package_id_problem,
    package_version_problem,
    resource_name,
)

from tests.words import refused

word = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,30}", fullmatch=True)


@given(word, word)
def test_a_good_name_is_environment_and_function(environment: str, function: str) -> None:
    """A letter first, then letters, digits and hyphens, at most 64 characters: it is taken."""
    assert resource_name(environment, function) == f"{environment}-{function}"


@given(st.text(max_size=40), st.text(max_size=40))
def test_what_is_taken_is_valid_in_both_services(environment: str, function: str) -> None:
    """Whatever comes in, a name that comes out is one for Lambda and for CloudFormation."""
    wanted = f"{environment}-{function}"
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,63}", wanted):
        assert resource_name(environment, function) == wanted
    else:
        with pytest.raises(PipelineError, match=re.escape(repr(wanted))):
            resource_name(environment, function)


@pytest.mark.parametrize(
    ("environment", "function"),
    [
        ("CI", "x" * 62),
        ("CI", "Orders.Queue"),
        ("Test Ümläut", "Orders"),
        ("CI", "Orders_Queue"),
        ("1CI", "Orders"),
        ("CI", "Orders\n"),
    ],
)
def test_the_service_that_refuses_is_named(environment: str, function: str) -> None:
    """The error says which service takes no such name."""
    with refused(None, PipelineError):
        resource_name(environment, function)


@pytest.mark.parametrize(
    "environment", ["feature/JIRA-17_Größe", "1", "e" * 51, f"{'x' * 40}!", "x-y" * 30]
)
@pytest.mark.parametrize("function", ["Orders", "F" * 40])
def test_what_does_not_fit_is_refused_with_a_name_that_does(
    environment: str, function: str
) -> None:
    """The proposal is taken; two names that are cut at the same place get different ones."""

    def proposed(name: str) -> str:
        with pytest.raises(PipelineError) as caught:
            resource_name(name, function)
        found = re.search("the environment (.+) would do", caught.value.then)
        assert found, caught.value.then
        return found[1]

    assert resource_name(proposed(environment), function)
    assert proposed(f"{environment}{environment}1") != proposed(f"{environment}{environment}2")


def test_a_function_that_leaves_no_room_gets_no_proposal() -> None:
    """It is the function's name that has to change."""
    with pytest.raises(PipelineError) as caught:
        resource_name("CI", "x" * 64)
    assert "would do" not in caught.value.then


def test_the_longest_name_is_taken() -> None:
    """64 characters are allowed, the hyphen included."""
    assert len(resource_name("CI", "x" * 61)) == 64


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (("jQuery.UI-x", "log4net", "Acme_1", "Zoë", "A" * 100), ("../x", "a/b", "a\\b", "C:x")),
        (("1", "x-1", "_"), ("", ".", "..", "a..b", "-a", "a b", "a\0", "a\n", "A" * 101)),
    ],
)
def test_ids_are_those_that_nuget_takes(good: tuple[str, ...], bad: tuple[str, ...]) -> None:
    """None of them can lead out of a folder, or be anything but a name."""
    assert [name for name in good if package_id_problem(name)] == []
    assert [name for name in bad if not package_id_problem(name)] == []


def test_versions_are_those_that_nuget_has_ever_taken() -> None:
    """Of NuGet 2.x and of SemVer 2: with two to four numbers, a prerelease, and metadata."""
    good = ("1", "1.0", "2.0.7", "1.2.3.4", "1.0.0-beta", "1.0-rc.1+a.b-c", "1.0.0+build.7")
    bad = (
        "",
        "..",
        "1/2",
        "../1",
        "v1",
        "1.",
        "1.2.3.4.5",
        "1.0-",
        "1.0-a..b",
        "1 ",
        "1\n",
        "\u0661",
    )
    assert [text for text in good if package_version_problem(text)] == []
    assert [text for text in (*bad, "1" * 129) if not package_version_problem(text)] == []
