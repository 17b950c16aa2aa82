"""What CloudFormation would refuse of the stack's template before it makes anything, by line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..core.errors import PipelineError
from ..project.sources import STACK
from ..project.stack import no_type, well_formed
from ..stack.rights import KNOWN_TYPES

# AWS adds to both now and then, so only what looks like a misspelt one is refused.
_SECTIONS = (
    "AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Rules", "Mappings",
    "Conditions", "Transform", "Hooks", "Resources", "Outputs",
)  # fmt: skip
_SHORT_FORMS = (
    "!And", "!Base64", "!Cidr", "!Condition", "!Contains", "!EachMemberEquals", "!EachMemberIn",
    "!Equals", "!FindInMap", "!GetAZs", "!GetAtt", "!If", "!ImportValue", "!Join", "!Length",
    "!Not", "!Or", "!Ref", "!RefAll", "!Select", "!Split", "!Sub", "!ToJsonString", "!Transform",
    "!ValueOf", "!ValueOfAll",
)  # fmt: skip
_NAMED_IN_TEXT = re.compile(r"\$\{\s*([A-Za-z0-9]+)\s*(?:\.[^}]*)?\}")


def stack_reasons(text: str) -> list[str]:
    """Return what is wrong with a template, without asking an account.

    Resources and names that a transform may add are taken on trust.
    """
    # Takes a while to import, and only the end of a build needs it.
    import yaml  # noqa: PLC0415

    try:
        with well_formed(text):
            root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    except PipelineError as error:
        return [f"{error.where}: {error.what}"]
    resources = _members(_members(root).get("Resources"))
    if not resources:
        return [f"{STACK}:1: there are no Resources in it"]
    return [
        f"{STACK}:{node.start_mark.line + 1}: {what}" for node, what in _faults(root, resources)
    ]


def _faults(root: Any, resources: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    """Yield what is wrong, and the node where that stands."""
    sections = _members(root)
    for key, _ in root.value:
        if near := _meant(key.value, _SECTIONS):
            yield key, f"there is no section {key.value}, did you mean {near}?"
    for node in _nodes(root):
        if node.tag.startswith("!") and (near := _meant(node.tag, _SHORT_FORMS)):
            yield node, f"there is no function {node.tag}, did you mean {near}?"
        seen: set[str] = set()
        for key in [key for key, _ in node.value if key.id == "scalar"] if _is_table(node) else ():
            if key.value in seen:
                yield key, f"{key.value} is there twice"
            seen.add(key.value)
    if "Transform" in sections:
        return
    for name, node in resources.items():
        kind = _members(node).get("Type")
        if kind is None:
            yield node, f"the resource {name} has no Type"
        elif kind.id == "scalar" and (meant := no_type(kind.value, KNOWN_TYPES)) is not None:
            yield (
                kind,
                f"there is no type {kind.value}{f', did you mean {meant}?' if meant else ''}",
            )
    known = resources.keys() | _members(sections.get("Parameters")).keys()
    for node in _nodes(root):
        for function, value in ((node.tag, node), *_members(node).items()):
            for name in _named(function, value):
                if name not in known and "::" not in name:
                    what = f"it refers to {name}, which is neither a resource nor a parameter"
                    yield value, what


def _meant(name: object, known: Sequence[str]) -> str:
    """Return which of the known names another one looks like, "" for those known and for none."""
    near = difflib.get_close_matches(str(name), known, 1, 0.75)
    return near[0] if near and name not in known else ""


def _is_table(node: Any) -> bool:
    return node is not None and node.id == "mapping"


def _members(node: Any) -> dict[str, Any]:
    """Return the members of a mapping by their keys, of anything else none."""
    return {str(key.value): value for key, value in node.value} if _is_table(node) else {}


def _nodes(node: Any) -> Iterator[Any]:
    """Yield a node and all below it."""
    yield node
    children = [one for pair in node.value for one in pair] if _is_table(node) else node.value
    for child in children if node.id != "scalar" else ():
        yield from _nodes(child)


def _named(function: str, value: Any) -> list[str]:
    """Return the names that a call of a function refers to, or `DependsOn`."""
    texts = [
        item.value
        for item in (value.value if value.id == "sequence" else (value,))
        if item.id == "scalar"
    ]
    match function:
        case "DependsOn":
            return texts
        case "!Ref" | "Ref":
            return texts[:1]
        case "!GetAtt" | "Fn::GetAtt":
            return [text.partition(".")[0] for text in texts[:1]]
        case "!Sub" | "Fn::Sub":
            own = _members(value.value[-1]) if value.id == "sequence" and value.value else {}
            named = [name for text in texts[:1] for name in _NAMED_IN_TEXT.findall(text)]
            return [name for name in named if name not in own]
        case _:
            return []
