"""Whether the stack's template is one, said by line. What AWS would refuse of it, `check` knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..core.errors import PipelineError
from ..project.sources import STACK
from ..project.stack import no_type, well_formed
from ..stack.rights import KNOWN_TYPES


def stack_reasons(text: str) -> list[str]:
    """Return what is wrong with a template, without asking an account.

    Where a transform may change its resources, they are taken on trust.
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
        return [f"{STACK}:1: there are no Resources in it"]
    faults = [*_twice(root), *(() if "Transform" in sections else _without_type(resources))]
    return [f"{STACK}:{node.start_mark.line + 1}: {what}" for node, what in faults]


def _twice(node: Any) -> Iterator[tuple[Any, str]]:
    """Yield each key that its mapping has already, here and below."""
    seen = set()
    for child in node.value if node.id != "scalar" else ():
        key, value = child if node.id == "mapping" else (child, child)
        if key is not value and key.id == "scalar":
            if key.value in seen:
                yield key, f"{key.value} is there twice"
            seen.add(key.value)
        yield from _twice(value)


def _without_type(resources: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    """Yield the resources without a type, and types that are none of CloudFormation's."""
    for name, node in resources.items():
        kind = _members(node).get("Type")
        if kind is None:
            yield node, f"the resource {name} has no Type"
        elif kind.id == "scalar" and (meant := no_type(kind.value, KNOWN_TYPES)) is not None:
            advice = f", did you mean {meant}?" if meant else ""
            yield kind, f"there is no type {kind.value}{advice}"


def _members(node: Any) -> dict[str, Any]:
    """Return the members of a mapping by their keys, of anything else none."""
    is_mapping = node is not None and node.id == "mapping"
    return {str(key.value): value for key, value in node.value} if is_mapping else {}
