"""The naming convention, and the limits of the two services that take the names."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.errors import PipelineError
from pipeline.values.names import resource_name

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
    ("environment", "function", "who"),
    [
        ("CI", "x" * 62, "Lambda"),
        ("CI", "Orders.Queue", "Lambda"),
        ("Test Ümläut", "Orders", "Lambda"),
        ("CI", "Orders_Queue", "CloudFormation"),
        ("1CI", "Orders", "CloudFormation"),
        ("CI", "Orders\n", "Lambda"),
    ],
)
def test_the_service_that_refuses_is_named(environment: str, function: str, who: str) -> None:
    """The error says which service takes no such name."""
    with pytest.raises(PipelineError, match=f"{who} refuses"):
        resource_name(environment, function)


def test_the_longest_name_is_taken() -> None:
    """64 characters are allowed, the hyphen included."""
    assert len(resource_name("CI", "x" * 61)) == 64
