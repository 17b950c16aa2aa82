"""The argument normaliser: what people type becomes what invoke's parser takes.

invoke knows positional arguments only where they are required and single. Here a verb may have
one that is optional, and `test` passes everything after it on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

# Flags of one verb that others had too: where their values are to be set instead.
MOVED = {
    "--octopus-server-url": "OCTOPUS_URL",
    "--octopus-api-key": "OCTOPUS_API_KEY",
    "--octopus-space": "OCTOPUS_SPACE",
}

# What `inspect` had: a flag for what it always says now, and one for a check it no longer makes.
STILL_READ = "--verify-provenance"
NO_CHECK = "--key"


@dataclass(frozen=True)
class Shape:
    """A verb's command line: the flag its bare word belongs to, and the flags that take a value.

    `passes_on` says that everything after the verb is not ours to parse.
    """

    positional: str = ""
    valued: Collection[str] = ()
    passes_on: bool = False


def normalise(
    words: Sequence[str], shapes: Mapping[str, Shape]
) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, str]]:
    """Return the command line (without the program's name) for invoke, and what is passed on.

    The third are the values of MOVED flags of verbs that do not have them, and of those that
    `inspect` had, taken out of it.

    `shapes` has every verb by its name. A bare word that is a verb's name starts that verb.
    """
    result: list[str] = []
    moved: dict[str, str] = {}
    shape: Shape | None = None
    verb = ""
    filled = False
    rest = list(words)
    while rest:
        word = rest.pop(0)
        flag, equals, value = word.partition("=")
        if word in shapes:
            verb, shape, filled = word, shapes[word], False
            result.append(word)
            if shape.passes_on:
                return tuple(result), tuple(rest), moved
        elif shape and flag in MOVED and flag not in shape.valued:
            moved[flag] = value if equals or not rest else rest.pop(0)
        elif verb == "inspect" and flag in {STILL_READ, NO_CHECK}:
            moved[flag] = rest.pop(0) if flag == NO_CHECK and not equals and rest else value
        elif shape is None or word.startswith("-"):
            result.append(word)
            if shape and word in shape.valued and rest:
                result.append(rest.pop(0))
        elif shape.positional and not filled:
            result.append(f"{shape.positional}={word}")
            filled = True
        else:
            result.append(word)
    return tuple(result), (), moved
