"""What `environment/stack.yaml` says of the function, as far as that is plain text."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import PipelineError
from ..edge.files import read_text, reading
from .sources import STACK

_FUNCTION = "AWS::Lambda::Function"
_TYPE = re.compile(r"[A-Za-z0-9]+(::[A-Za-z0-9]+){2,3}")
# Where logs are JSON, and no level is named.
_JSON_LEVELS = {"ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"}


@dataclass(frozen=True)
class StackFunction:
    """How the stack runs the function: `memory` in MB, `timeout` in seconds, `logging` as it says.

    Lambda's own are taken where the stack says none; `unclear` tells what could not be read off.
    """

    memory: int = 128
    timeout: int = 3
    logging: Mapping[str, str] = field(default_factory=dict)
    unclear: str = ""


def stack_text(root: Path) -> str:
    """Return the stack's template. Raises PipelineError where it cannot be read."""
    with reading(STACK, "Every repository keeps its stack there; copy the template's into it."):
        return read_text(root / STACK, STACK)


def stack_function(root: Path) -> StackFunction:
    """Return what the stack's first function has.

    A number is one, or refers to a parameter that has one as its default. Raises PipelineError
    with the line of what is not YAML.
    """
    try:
        document = _document(read_text(root / STACK, STACK))
    except FileNotFoundError:
        return StackFunction(unclear=f"there is no {STACK}")
    resources = [one for one in _table(document, "Resources").values() if isinstance(one, dict)]
    properties = next(
        (_table(one, "Properties") for one in resources if one.get("Type") == _FUNCTION), None
    )
    if properties is None:
        return StackFunction(unclear=f"{STACK} has no function")
    parameters = _table(document, "Parameters")
    memory = _number(properties.get("MemorySize", 128), parameters)
    timeout = _number(properties.get("Timeout", 3), parameters)
    if memory is None or timeout is None:
        return StackFunction(unclear=f"{STACK} computes its function's memory or time")
    logging = _table(properties, "LoggingConfig")
    if logging.get("LogFormat") == "JSON":
        logging = {**_JSON_LEVELS, **logging}
    plain = {key: value for key, value in logging.items() if isinstance(value, str)}
    return StackFunction(memory, timeout, plain)


def resource_types(root: Path) -> frozenset[str]:
    """Return the types of the stack's resources. Raises PipelineError where it cannot be read."""
    resources = _table(_document(stack_text(root)), "Resources")
    found = [one.get("Type") for one in resources.values() if one]
    return frozenset(str(one) for one in found if one)


def no_type(kind: str, known: Collection[str]) -> str | None:
    """Tell that a resource's type is none of CloudFormation's: the one meant, or "".

    None for what may be one. AWS's list is longer than `known`, so only what is written like no
    type, or is a slip away from one in `known`, is told.
    """
    if kind in known or kind.startswith("Custom::"):
        return None
    near = difflib.get_close_matches(kind.casefold(), [one.casefold() for one in known], 1, 0.97)
    if near:
        return next(one for one in known if one.casefold() == near[0])
    return None if _TYPE.fullmatch(kind) else ""


def _number(value: Any, parameters: dict[str, Any]) -> int | None:
    if isinstance(value, dict) and value.keys() == {"Ref"}:
        value = _table(parameters, value["Ref"]).get("Default")
    return int(value) if str(value).isdecimal() else None


def _table(document: Any, key: str) -> dict[str, Any]:
    found = document.get(key) if isinstance(document, dict) else None
    return found if isinstance(found, dict) else {}


def _document(text: str) -> Any:
    import yaml  # noqa: PLC0415 - slow to import

    class Loader(yaml.BaseLoader):
        """Reads scalars as texts, and CloudFormation's short forms, like `!Ref Name`, as long."""

    def long_form(loader: Any, name: str, node: Any) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return {name: node.value}
        if isinstance(node, yaml.SequenceNode):
            return {name: loader.construct_sequence(node, deep=True)}
        return {name: loader.construct_mapping(node, deep=True)}

    Loader.add_multi_constructor("!", long_form)
    with well_formed(text):
        return yaml.load(text, Loader)  # noqa: S506 - it makes texts, lists and tables only


@contextmanager
def well_formed(text: str) -> Iterator[None]:
    """Turn what the block finds to be no YAML in a stack's text into the error with its line."""
    import yaml  # noqa: PLC0415 - slow to import

    line = 0
    try:
        yield
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line if error.problem_mark else 0
        what = f"it is not well-formed YAML: {error.problem}"
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position)
        what = f"it holds the control character {chr(error.character)!r}"
    except RecursionError:
        what = "it is nested too deep"
    else:
        return
    raise PipelineError(f"{STACK}:{line + 1}", what, "Correct the stack.")
