"""What CloudFormation would refuse of the stack's template before it makes anything, by line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
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
    sections = _members(root)
    resources = _members(sections.get("Resources"))
    if not resources:
        return [_reason(0, "there are no Resources in it")]
    reasons = [
        _reason(key.start_mark.line, f"there is no section {key.value}, did you mean {near}?")
        for key, _ in root.value
        if (near := _meant(key.value, _SECTIONS))
    ]
    reasons += _form_reasons(root)
    if "Transform" not in sections:
        reasons += [
            _reason(node.start_mark.line, f"the resource {name} has no Type")
            for name, node in resources.items()
            if "Type" not in _members(node)
        ]
        reasons += [
            _reason(type_.start_mark.line, f"there is no type {type_.value}{near}")
            for type_, near in _wrong_types(resources)
        ]
        known = resources.keys() | _members(sections.get("Parameters")).keys()
        reasons += [
            _reason(line, f"it refers to {name}, which is neither a resource nor a parameter")
            for name, line in _references(root, known)
        ]
    return reasons


def _reason(line: int, what: str) -> str:
    return f"{STACK}:{line + 1}: {what}"


def _meant(name: object, known: Sequence[str]) -> str:
    """Return which of the known names another one looks like, "" for those known and for none."""
    near = difflib.get_close_matches(str(name), known, 1, 0.75)
    return near[0] if near and name not in known else ""


def _members(node: Any) -> dict[str, Any]:
    """Return the members of a mapping by their keys, of anything else none."""
    pairs = node.value if node is not None and node.id == "mapping" else ()
    return {str(key.value): value for key, value in pairs}


def _nodes(node: Any) -> Iterator[Any]:
    """Yield a node and all below it."""
    yield node
    for child in node.value if node.id in ("mapping", "sequence") else ():
        for inner in child if node.id == "mapping" else (child,):
            yield from _nodes(inner)


def _wrong_types(resources: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    """Yield the node of each type that is none of CloudFormation's, and the one that was meant."""
    for node in resources.values():
        type_ = _members(node).get("Type")
        if type_ is not None and type_.id == "scalar":
            near = no_type(type_.value, KNOWN_TYPES)
            if near is not None:
                yield type_, f", did you mean {near}?" if near else ""


def _form_reasons(root: Any) -> Iterator[str]:
    for node in _nodes(root):
        line = node.start_mark.line
        if node.tag.startswith("!") and (near := _meant(node.tag, _SHORT_FORMS)):
            yield _reason(line, f"there is no function {node.tag}, did you mean {near}?")
        seen = set()
        for key, _ in node.value if node.id == "mapping" else ():
            if key.value in seen:
                yield _reason(key.start_mark.line, f"{key.value} is there twice")
            seen.add(key.value if key.id == "scalar" else None)


def _references(root: Any, known: Collection[str]) -> Iterator[tuple[str, int]]:
    """Yield the name and the line of each reference to something that is not there."""
    for node in _nodes(root):
        calls = [(node.tag, node), *_members(node).items()]
        for function, value in calls:
            for name in _named(function, value):
                if name not in known and "::" not in name:
                    yield name, value.start_mark.line


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
