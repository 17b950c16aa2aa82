"""What is read off a stack of how it runs the function."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.core.errors import PipelineError
from pipeline.project.stack import StackFunction, stack_function

from tests.words import refused

STACK = """\
AWSTemplateFormatVersion: 2010-09-09
Parameters:
  Memory: {Type: Number, Default: 512}
Resources:
  Topic: {Type: AWS::SNS::Topic}
  Function:
    Type: AWS::Lambda::Function
    Properties:
      MemorySize: !Ref Memory
      Timeout: 30
      Role: !GetAtt Role.Arn
      LoggingConfig: {LogFormat: JSON, LogGroup: !Ref Group}
"""


def read(folder: Path, text: str) -> StackFunction:
    """Write a stack and return what is read of it."""
    (folder / "environment").mkdir(exist_ok=True)
    (folder / "environment" / "stack.yaml").write_text(text, encoding="utf-8")
    return stack_function(folder)


def test_memory_time_and_logging_are_the_functions(tmp_path: Path) -> None:
    """Numbers, also a parameter's default; of the logging what is plain text, and its levels."""
    logging = {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"}
    assert read(tmp_path, STACK) == StackFunction(512, 30, logging)
    assert read(tmp_path, STACK.replace("      MemorySize: !Ref Memory\n", "")).memory == 128


@pytest.mark.parametrize("text", ["3 * 10", "!If [A, 1, 2]", "!Ref Nothing", "[1]", "true"])
def test_what_is_computed_is_not_guessed(tmp_path: Path, text: str) -> None:
    """Lambda's own are taken then, and it is said."""
    found = read(tmp_path, STACK.replace("Timeout: 30", f"Timeout: {text}"))
    assert (found.timeout, found.unclear != "") == (3, True)


@pytest.mark.parametrize(
    ("new", "line"),
    [("Topic: x: y", 5), ("Topic: \x01", 5), ("? [a]\n  : b", 5), ("[" * 3000, 1)],
    ids=["a second colon", "control character", "a list as a key", "deep"],
)
def test_what_is_no_stack_is_named_with_its_line(tmp_path: Path, new: str, line: int) -> None:
    """Not as a bug of ours."""
    with refused(f"environment/stack.yaml:{line}", PipelineError):
        read(tmp_path, STACK.replace("Topic: {Type: AWS::SNS::Topic}", new))


@given(st.text(st.sampled_from("ab:!- []{}&*?|>\n\t\x00'\"19-RT")))
def test_any_text_is_read(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever stands there is a function, or refused."""
    with contextlib.suppress(PipelineError):
        read(tmp_path_factory.getbasetemp(), text)


def test_a_date_that_there_is_not_is_a_text(tmp_path: Path) -> None:
    """As CloudFormation takes it."""
    assert read(tmp_path, STACK.replace("2010-09-09", "2010-99-99")).timeout == 30
