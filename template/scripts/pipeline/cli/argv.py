"""The argument normaliser: what people type becomes what invoke's parser takes.

invoke knows positional arguments only where they are required and single. Here a verb may have
one that is optional, `test` passes everything after it on, and old flags are still read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

_HELP = ("--help", "-h")


@dataclass(frozen=True)
class OldFlag:
    """A flag that verbs had once: what to tell people, and the variable that takes its value.

    `verb` is the only one that had it. With `then`, what to do now, the verb does not start.
    """

    warning: str
    variable: str = ""
    verb: str = ""
    then: str = ""


# Flags whose value is a list of names, which may have blanks in it: a build server's field is split
# there. What looks like a file ends such a list.
_LISTS = ("--environments", "--projects")
_FILES = re.compile(r"[/\\]|\.nupkg\Z")
_SPELLINGS = {"--comma-separated-deployment-environments": "--environments"}
_VARIABLES = {
    "--octopus-server-url": "OCTOPUS_URL",
    "--octopus-api-key": "OCTOPUS_API_KEY",
    "--octopus-space": "OCTOPUS_SPACE",
}
OLD_FLAGS = {
    flag: OldFlag(f"only `build` has it: set {variable} instead", variable)
    for flag, variable in _VARIABLES.items()
} | {
    "--verify-provenance": OldFlag(
        "it is not needed: `inspect` always says whether the statement fits", verb="inspect"
    ),
    "--key": OldFlag(
        "nothing was verified: the build server signs packages, and this verb knows no keys",
        verb="inspect",
        then=(
            "Verify with `gh attestation verify PACKAGE --repo OWNER/NAME`, or with cosign: "
            "scripts/docs/provenance.md."
        ),
    ),
}


@dataclass(frozen=True)
class Shape:
    """A verb's command line: the flags its bare words belong to, and those that take a value.

    `passes_on` says that everything after the verb is not ours to parse, `repeats` that there may
    be several bare words.
    """

    positional: tuple[str, ...] = ()
    valued: Collection[str] = ()
    passes_on: bool = False
    repeats: bool = False


@dataclass(frozen=True)
class CommandLine:
    """A command line without the program's name: invoke's words, pytest's, and old flags' values.

    `old` has only the old flags that the verb they were typed for does not have.
    """

    words: Sequence[str]
    passed_on: Sequence[str] = ()
    old: Mapping[str, str] = field(default_factory=dict)


def normalise(typed: Sequence[str], shapes: Mapping[str, Shape]) -> CommandLine:
    """Return the command line for invoke. A bare word that is a verb's name starts that verb.

    `shapes` has every verb by its name. `VERB --help` becomes the help of that verb alone.
    """
    words: list[str] = []
    old: dict[str, str] = {}
    verb, shape = "", Shape()
    bare: list[str] = []
    rest = list(typed)
    while rest:
        word = rest.pop(0)
        flag, equals, value = word.partition("=")
        if _SPELLINGS.get(flag) in shape.valued:
            flag = _SPELLINGS[flag]
            word = f"{flag}{equals}{value}"
        if word in shapes:
            verb, shape = word, shapes[word]
            bare = list(shape.positional)
            words.append(word)
            if shape.passes_on and not (rest and rest[0] in _HELP):
                return CommandLine(words, rest, old)
        elif verb and word in _HELP:
            return CommandLine(["--help", verb])
        elif flag not in shape.valued and flag in OLD_FLAGS and OLD_FLAGS[flag].verb in ("", verb):
            takes_next = OLD_FLAGS[flag].variable and not equals and rest
            old[flag] = rest.pop(0) if takes_next else value
        elif not verb or word.startswith("-"):
            words.append(word)
            if word in shape.valued and rest:
                words.append(rest.pop(0))
            while flag in _LISTS and flag in shape.valued and rest and _goes_on(rest[0], shapes):
                words[-1] += f" {rest.pop(0)}"
        elif bare:
            words.append(f"{bare[0]}={word}")
            if not shape.repeats:
                bare.pop(0)
        else:
            words.append(word)
    return CommandLine(words, (), old)


def _goes_on(word: str, shapes: Mapping[str, Shape]) -> bool:
    """Tell whether a word belongs to the list of names before it."""
    return not (word.startswith("-") or word in shapes or _FILES.search(word))


def rebuild_request(typed: Sequence[str]) -> tuple[str, str] | None:
    """Return the manifest and the folder of the command line with which `verify` starts a clone.

    Every version of this library calls that of a package's commit so; it is not for people.
    """
    match typed:
        case ["package", "--rebuild", manifest, "--into", folder]:
            return manifest, folder
    return None
