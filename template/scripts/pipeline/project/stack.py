"""The template in `environment/stack.yaml`, as nodes with lines, and what it says of the function.

YAML's own nodes, not values: they keep the tags of CloudFormation's short forms, like `!Ref Name`,
and know the lines that people have to correct.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import PipelineError
from ..edge.files import read_text
from .sources import STACK

_FUNCTION = "AWS::Lambda::Function"


@dataclass(frozen=True)
class StackFunction:
    """How the stack runs the function: `memory` in MB, `timeout` in seconds.

    Lambda's own are taken where the stack says none; `unclear` tells what could not be read off.
    """

    memory: int = 128
    timeout: int = 3
    unclear: str = ""


def stack_function(root: Path) -> StackFunction:
    """Return what the stack's first function has.

    A number is one, or refers to a parameter that has one as its default. Raises PipelineError
    with the line of what is not YAML.
    """
    try:
        sections = members(template(read_text(root / STACK, STACK)))
    except FileNotFoundError:
        return StackFunction(unclear=f"there is no {STACK}")
    resources = map(members, members(sections.get("Resources")).values())
    function = next((one for one in resources if _text(one.get("Type")) == _FUNCTION), None)
    if function is None:
        return StackFunction(unclear=f"{STACK} has no function")
    parameters = members(sections.get("Parameters"))
    facts = {"MemorySize": "128", "Timeout": "3"}
    for name, node in members(function.get("Properties")).items():
        if name in facts and (node.tag == "!Ref" or members(node).keys() == {"Ref"}):
            parameter = members(parameters.get(_text(members(node).get("Ref", node))))
            facts[name] = _text(parameter.get("Default"))
        elif name in facts:
            facts[name] = _text(node)
    if not all(map(str.isdecimal, facts.values())):
        return StackFunction(unclear=f"{STACK} computes its function's memory or time")
    return StackFunction(int(facts["MemorySize"]), int(facts["Timeout"]))


def template(text: str) -> Any:
    """Return a template's root node. Raises PipelineError with the line of what is not YAML."""
    # Takes a while to import, and only the end of a build needs it.
    import yaml  # noqa: PLC0415

    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line if error.problem_mark else 0
        what = f"it is not well-formed YAML: {error.problem}"
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position)
        what = f"it holds the control character {chr(error.character)!r}"
    except RecursionError:
        line, what = 0, "it is nested too deep"
    raise PipelineError(f"{STACK}:{line + 1}", what, "Correct the stack.")


def members(node: Any) -> dict[str, Any]:
    """Return the members of a mapping by their keys, of anything else none."""
    pairs = node.value if node is not None and node.id == "mapping" else ()
    return {str(key.value): value for key, value in pairs}


def _text(node: Any) -> str:
    return str(node.value) if node is not None and node.id == "scalar" else ""
