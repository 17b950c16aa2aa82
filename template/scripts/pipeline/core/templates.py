"""Filling `#{Name}` in the function's environment from Octopus's variables.

Only plain names are filled: Octopus's filters and conditions stay with Octopus. Names match in
any case, as they do there, and `##{` stands for a literal `#{`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .errors import PipelineError
from .masking import MASK

_REFERENCE = re.compile(r"(#?)#\{([^{}]*)\}")
_PLAIN_NAME = re.compile(r"[^|#{}]+\Z")


def names_in(templates: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the names that `templates` refer to, each with the keys it is used in."""
    used: dict[str, list[str]] = {}
    for key, template in templates.items():
        for escaped, name in _REFERENCE.findall(template):
            if not escaped and key not in used.setdefault(name.strip(), []):
                used[name.strip()].append(key)
    return used


def resolve(
    templates: Mapping[str, str],
    variables: Mapping[str, str],
    *,
    where: str,
    missing: Iterable[str] = (),
) -> dict[str, str]:
    """Fill the templates.

    Raises one PipelineError that names everything that is missing, and what the caller has found
    `missing` besides.
    """
    used = names_in(templates)
    for name, keys in used.items():
        if not _PLAIN_NAME.match(name) or name.split()[0] in {"if", "unless", "each", "/if"}:
            what = f"{keys[0]} holds #{{{name}}}, which is not the plain name of a variable"
            then = "Put filters and conditions into an Octopus variable, and name that one here."
            raise PipelineError(where, what, then)
    # In any case, as Octopus takes them; two that differ in that alone are each their own.
    values = {**{name.lower(): value for name, value in variables.items()}, **variables}
    missing = [*missing]
    missing += [
        f"{name} (for {', '.join(keys)})"
        for name, keys in used.items()
        if name.lower() not in values
    ]
    if missing:
        count = "a variable is" if len(missing) == 1 else f"{len(missing)} variables are"
        raise PipelineError(
            where,
            f"{count} missing: {'; '.join(missing)}",
            "Set them in Octopus for this environment; outside Octopus in pyproject.toml, "
            "[tool.pipeline.environments.NAME.variables], or as environment variables.",
        )

    def fill(match: re.Match[str]) -> str:
        name = match[2].strip()
        return match[0][1:] if match[1] else values[name if name in values else name.lower()]

    return {key: _REFERENCE.sub(fill, template) for key, template in templates.items()}


def readable(
    templates: Mapping[str, str], values: Mapping[str, str], plain: Iterable[str]
) -> dict[str, str]:
    """Return what may be shown of each of the filled `values`: the text, and what it was filled to.

    What was filled from variables that are not in `plain` is masked: it may be a secret.
    """
    known = {name.lower() for name in plain}
    found = {}
    for key, value in values.items():
        names = list(names_in({key: templates[key]}))
        shown = value if known.issuperset(name.lower() for name in names) else MASK
        found[key] = f"{templates[key]} = {shown}" if names else shown
    return found


def declared_values(
    templates: Mapping[str, str], declared: Mapping[str, str], environ: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables that `templates` need off the worker, as far as they are known.

    First from `declared` (pyproject.toml), then from the process environment, where
    `Logstash.Host` is looked for under that name and as LOGSTASH_HOST.
    """
    values = dict(declared)
    known = {name.lower() for name in declared}
    for name in names_in(templates):
        if name.lower() not in known:
            for candidate in (name, re.sub(r"[^A-Za-z0-9]", "_", name).upper()):
                if candidate in environ:
                    values[name] = environ[candidate]
                    break
    return values
