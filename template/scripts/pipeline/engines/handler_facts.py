"""What a check of the handler looks at, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..octopus.variables import declared_values, names_in, resolve
from ..values.project import Environment
from .elf import Binary

__all__ = ["FunctionFiles", "HandlerCheck", "Known", "known_values"]


@dataclass(frozen=True)
class FunctionFiles:
    """The function zip: `own` are the names of the repository's files, the others' are brought."""

    path: Path
    own: frozenset[str]
    binaries: Mapping[str, Binary]


@dataclass(frozen=True)
class HandlerCheck:
    """What became of the handler: `found` for a reader, why not, and what to know besides."""

    found: str = ""
    reason: str = ""
    note: str = ""


@dataclass(frozen=True)
class Known:
    """The function's environment variables, as far as they are known on this machine.

    `values` are those that could be filled, `others` the templates of the rest.
    """

    values: Mapping[str, str]
    others: Mapping[str, str]


def known_values(
    templates: Mapping[str, str], environment: Environment, environ: Mapping[str, str]
) -> Known:
    """Fill the templates from an environment's variables and the process environment."""
    variables = declared_values(templates, environment.declared(), environ)
    any_case = {name.lower() for name in variables}
    complete = {
        key: template
        for key, template in templates.items()
        if all(name.lower() in any_case for name in names_in({key: template}))
    }
    others = {key: template for key, template in templates.items() if key not in complete}
    return Known(resolve(complete, variables, where="check"), others)
