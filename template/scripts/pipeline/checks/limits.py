"""What Lambda refuses of a function's size and settings, by the limits of its public API.

Every check is a function of values and returns reasons, each a sentence for a person.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterable, Mapping, Sequence

from ..core.errors import PipelineError
from ..core.lambda_limits import (
    DESCRIPTION_LIMIT,
    DIRECT_UPLOAD_LIMIT,
    ENVIRONMENT_LIMIT,
    HANDLER_LIMIT,
    RESERVED_VARIABLES,
    UNZIPPED_LIMIT,
    VARIABLE_NAME,
)
from ..core.manifest import ZipFacts
from ..core.names import resource_name
from ..core.text import control_in, readable_size
from ..function.compiled import owner
from ..project.project import Function
from ..zip.reader import Entry

_LENGTHS = {"handler": HANDLER_LIMIT, "description": DESCRIPTION_LIMIT}
_TAG_KEY_LIMIT, _TAG_VALUE_LIMIT, _TAGS_LIMIT = 128, 256, 50
_SHOWN = 5


def size_reasons(
    facts: ZipFacts,
    function: Function,
    listing: Callable[[], Sequence[Entry]],
    own: Container[str] = (),
) -> list[str]:
    """Return why the function zip is too large, with what is largest in it; sizes in bytes.

    `listing` is asked for what the zip holds only then.
    """
    reasons = []
    sdk = function.runtime.sdk
    smaller = f'`exclude` and {sdk} = "runtime" in [tool.pipeline.function] make it smaller'
    if facts.unzipped_size > UNZIPPED_LIMIT:
        what = f"the function is {readable_size(facts.unzipped_size)} unzipped, Lambda takes 250 MB"
        largest = _largest(listing(), own, packed=False)
        reasons.append(f"{what}; largest are {largest}; {smaller}")
    if facts.size > DIRECT_UPLOAD_LIMIT and not function.bucket:
        what = f"function.zip is {readable_size(facts.size)}, a direct upload takes 50 MB"
        largest = _largest(listing(), own, packed=True)
        reasons.append(f"{what}: name a `bucket`; largest are {largest}; {smaller}")
    return reasons


def environment_reasons(variables: Mapping[str, str], where: str) -> list[str]:
    """Return why the values for `where` are too large together; Lambda measures them as JSON."""
    text = json.dumps(dict(variables), separators=(",", ":"), ensure_ascii=False)
    size = len(text.encode("utf-8", "surrogatepass"))
    if size <= ENVIRONMENT_LIMIT:
        return []
    longest = max(variables, key=lambda name: len(variables[name]))
    what = f"the environment for {where} is {size} bytes, Lambda takes {ENVIRONMENT_LIMIT}"
    return [f"{what}; the longest is {longest}: keep it in a parameter store, or in the package"]


def function_name_reasons(function: str, environments: Iterable[str]) -> list[str]:
    """Return why AWS refuses what the function is called in the environments, or Octopus these."""
    refused: dict[str, list[str]] = {}
    for environment in environments:
        try:
            resource_name(environment, function)
        except PipelineError as error:
            refused.setdefault(error.then, []).append(error.what)
    return [f"{'; '.join(whats)}: {then}" for then, whats in refused.items()]


def name_reasons(names: Iterable[str]) -> list[str]:
    """Return why Lambda refuses names of environment variables."""
    reasons = []
    for name in names:
        if name in RESERVED_VARIABLES:
            reasons.append(f"{name} is set by Lambda itself: choose another name for this variable")
        elif not VARIABLE_NAME.fullmatch(name):
            reasons.append(
                f"{name!r} is no name for an environment variable: Lambda takes a letter, then "
                "at least one more letter, digit or underscore"
            )
    return reasons


def tag_reasons(tags: Mapping[str, str]) -> list[str]:
    """Return why AWS refuses tags."""
    reasons = [f"{len(tags)} tags, AWS takes {_TAGS_LIMIT}"] if len(tags) > _TAGS_LIMIT else []
    for key, value in tags.items():
        if key.lower().startswith("aws:"):
            reasons.append(f"the tag {key}: names that start with aws: are AWS's own")
        if not 0 < len(key) <= _TAG_KEY_LIMIT:
            reasons.append(f"the tag {key[:40]!r}: its name has {_of(key, _TAG_KEY_LIMIT)}")
        if found := control_in(value):
            reasons.append(f"the tag {key[:40]!r}: its value holds {found}: remove it")
        if len(value) > _TAG_VALUE_LIMIT:
            reasons.append(f"the tag {key[:40]!r}: its value has {_of(value, _TAG_VALUE_LIMIT)}")
    return reasons


def length_reasons(what: str, text: str) -> list[str]:
    """Return why Lambda refuses a "handler" or a "description", whatever is in the zip."""
    limit = _LENGTHS[what]
    return [f"the {what} has {_of(text, limit)}"] if len(text) > limit else []


def _of(text: str, limit: int) -> str:
    return f"{len(text)} characters, AWS takes {'1 to ' if not text else ''}{limit}"


def _largest(entries: Iterable[Entry], own: Container[str], *, packed: bool) -> str:
    sizes: dict[str, int] = {}
    for entry in entries:
        part = owner(entry.name, own)
        sizes[part] = sizes.get(part, 0) + (entry.packed if packed else entry.size)
    first = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]
    return ", ".join(f"{name} {readable_size(total)}" for name, total in first)
