"""What a check of the handler looks at, and what became of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import PipelineError
from ..core.templates import declared_values, names_in, resolve
from ..core.text import control_in
from ..project.project import LOCAL_ENVIRONMENT, Environment, Project
from .elf import Binary


@dataclass(frozen=True)
class FunctionFiles:
    """The function zip and the `names` in it: `own` are the repository's, the others are brought.

    `locked` are the distributions that brought them, by normalised name; `unknown` the modules
    that lie below `src` but are not in the zip, for git does not track them.
    """

    path: Path
    names: Collection[str]
    own: Collection[str]
    binaries: Mapping[str, Binary]
    locked: Collection[str] = ()
    unknown: Collection[str] = ()

    def has(self, module: str) -> bool:
        """Tell whether a module is there for some machine and Python, compiled or not."""
        path = module.replace(".", "/")
        return any(
            name in (f"{path}.py", f"{path}.pyc")
            or name.startswith(f"{path}/")
            or (name.startswith(f"{path}.") and name.endswith(".so"))
            for name in self.names
        )

    def shown(self, place: str) -> str:
        """Return `file:line` in the zip as the place where a person finds the file."""
        return f"{'src/' if place.partition(':')[0] in self.own else 'function.zip '}{place}"

    def advice(self, module: str) -> str:
        """Return what to do where git does not know a module that lies there, else nothing."""
        path = module.replace(".", "/")
        for name in self.unknown:
            if name == f"{path}.py" or name.startswith(f"{path}/"):
                found = name if name == f"{path}.py" else path
                return f"; src/{found} is not in git: `git add src/{found}`"
        return ""


@dataclass(frozen=True)
class HandlerCheck:
    """What became of the handler: `found` for a reader, why not, and what to know besides."""

    found: str = ""
    reason: str = ""
    note: str = ""


@dataclass(frozen=True)
class Known:
    """The function's environment variables, as far as they are known on this machine.

    `values` are those that could be filled, `others` the templates of the rest. `private` is what
    came from the process environment, and is not to be shown.
    """

    values: Mapping[str, str]
    others: Mapping[str, str]
    private: Collection[str] = ()


def known_values(
    templates: Mapping[str, str], environment: Environment, environ: Mapping[str, str]
) -> Known:
    """Fill the templates from an environment's variables and the process environment."""
    declared = environment.declared()
    variables = declared_values(templates, declared, environ)
    values: dict[str, str] = {}
    for key, template in templates.items():
        with suppress(PipelineError):
            values |= resolve({key: template}, variables, where="check")
    others = {key: template for key, template in templates.items() if key not in values}
    private = [value for name, value in variables.items() if name not in declared]
    return Known(values, others, private)


def known_here(project: Project, environ: Mapping[str, str]) -> Known:
    """Return what is known of the function's variables for running it here."""
    templates = project.function.environment
    # A name that Lambda refuses is a reason already, and some cannot be given to a process.
    given = {
        key: template
        for key, template in templates.items()
        if not {"=", "\0"} & {*key} and not control_in(template)
    }
    return known_values(given, project.environment(LOCAL_ENVIRONMENT), environ)


def template_reasons(templates: Mapping[str, str]) -> list[str]:
    """Return why templates cannot be filled, whatever the values are."""
    reasons = []
    for key, template in templates.items():
        if found := control_in(template):
            reasons.append(f"{key} holds {found}: remove it")
            continue
        try:
            resolve({key: template}, dict.fromkeys(names_in({key: template}), ""), where="check")
        except PipelineError as error:
            reasons.append(f"{error.what}: {error.then[:1].lower()}{error.then[1:]}")
    return reasons
