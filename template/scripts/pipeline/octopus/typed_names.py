"""The names that people type: in any case, with commas or blanks between them."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def split_names(typed: Sequence[str], known: Collection[str]) -> tuple[list[str], list[str]]:
    """Return the names in `typed`, folded as `known` is, and the texts that hold an unknown one.

    Commas have separated `typed` already. A name may have blanks of its own, so a text is taken
    whole where it is a name, and else as the longest names that it is made of.
    """
    names: list[str] = []
    missing: list[str] = []
    for text in typed:
        whole = text.casefold()
        found = [whole] if whole in known else _names_of(whole.split(), known)
        names += found
        missing += [] if found else [text]
    return names, missing


def _names_of(words: Sequence[str], known: Collection[str]) -> list[str]:
    """Return the names that make up `words`; none where a part of them is no name."""
    for end in range(len(words), 0, -1):
        name, rest = " ".join(words[:end]), words[end:]
        if name in known and ((others := _names_of(rest, known)) or not rest):
            return [name, *others]
    return []
