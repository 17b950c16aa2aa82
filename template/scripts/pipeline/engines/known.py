"""The function's environment variables, as far as their values are known on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..octopus.variables import declared_values, names_in, resolve
from ..values.project import Environment

__all__ = ["Known", "known_values"]


@dataclass(frozen=True)
class Known:
    """Environment variables: `values` of those that could be filled, templates of the `others`."""

    values: Mapping[str, str]
    others: Mapping[str, str]


def known_values(
    templates: Mapping[str, str], environment: Environment, environ: Mapping[str, str]
) -> Known:
    """Fill the templates from an environment's variables and the process environment."""
    declared = {"Octopus.Environment.Name": environment.name, **environment.variables}
    variables = declared_values(templates, declared, environ)
    any_case = {name.lower() for name in variables}
    complete = {
        key: template
        for key, template in templates.items()
        if all(name.lower() in any_case for name in names_in({key: template}))
    }
    others = {key: template for key, template in templates.items() if key not in complete}
    return Known(resolve(complete, variables, where="check"), others)
