"""A broken stack is named with its line when the package is built, not when it is made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.checks.stack_template import stack_reasons

from tests.repositories import Render
from tests.template.answers import KINDS

GOOD = """\
Parameters:
  Name: {Type: String}
Resources:
  Topic:
    Type: AWS::SNS::Topic
    DependsOn: [Other]
    Properties:
      TopicName: !Sub "${Name}-${!Literal}-${AWS::Region}-${Other.Arn}"
      DisplayName: !Sub ["${Mine}", {Mine: !GetAtt Other.Name}]
  Other:
    Type: AWS::SNS::Topic
    Properties: {TopicName: !Ref Name, DisplayName: {"Fn::GetAtt": [Topic, Arn]}}
"""


def test_the_stacks_of_new_repositories_are_good(render_function: Render) -> None:
    """Nothing is said of what the template comes with."""
    for kind in KINDS:
        stack = render_function(function_kind=kind) / "environment" / "stack.yaml"
        assert stack_reasons(stack.read_text(encoding="utf-8")) == []
    assert stack_reasons(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("Topic:\n", "Topic: x\n", 5, "not well-formed YAML: mapping values"),
        ("    Type: AWS::SNS::Topic\n    D", "\tType: X\n    D", 5, "not well-formed YAML"),
        ("String}", "String", 3, "not well-formed YAML"),
        ("Name-", "Name\x01", 8, "control character '\\x01'"),
        ("Resources", "Recources", 1, "no Resources"),
        ("  Other:\n    Type", "  Topic:\n    Type", 10, "Topic is there twice"),
        ("    Type: AWS::SNS::Topic\n    Prop", "    Kind: X\n    Prop", 11, "Other has no Type"),
        ("Type: AWS::SNS::Topic\n    D", "Type: SNS::Topic\n    D", 5, "no type SNS::Topic"),
        (
            "Type: AWS::SNS::Topic\n    D",
            "Type: AWS::Lambda::Functon\n    D",
            5,
            "did you mean AWS::Lambda::Function?",
        ),
    ],
)
def test_a_broken_stack_is_named_with_its_line(old: str, new: str, line: int, said: str) -> None:
    """What is no template is told where that stands."""
    assert old in GOOD or old == "Name-"
    text = GOOD.replace("{Name}-", "{Name}\x01") if old == "Name-" else GOOD.replace(old, new)
    reasons = stack_reasons(text)
    assert [reason for reason in reasons if said in reason], reasons
    assert any(reason.startswith(f"environment/stack.yaml:{line}: ") for reason in reasons), reasons


def test_what_a_transform_makes_is_taken_on_trust() -> None:
    """A transform may give meaning to what has no type."""
    text = GOOD.replace("Type: AWS::SNS::Topic\n    P", "P")
    assert stack_reasons(f"Transform: AWS::Serverless-2016-10-31\n{text}") == []


@given(st.text(st.sampled_from("ab:!- []{}&*?|>\n\t\x00'\"R")))
def test_any_text_is_read(text: str) -> None:
    """Whatever stands there, what comes back are reasons."""
    assert stack_reasons(text)
