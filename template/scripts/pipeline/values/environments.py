"""The environments of a project by name, in whatever case people type them."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import PipelineError

__all__ = ["LOCAL_ENVIRONMENT", "declared_environment", "refuse_twins"]

# The environment of the embedded AWS; it is always there and needs no declaration.
LOCAL_ENVIRONMENT = "local"


def refuse_twins(declared: Sequence[str], *, where: str) -> None:
    """Refuse names that differ in their case only: which of them is meant could not be told."""
    spellings = {LOCAL_ENVIRONMENT: LOCAL_ENVIRONMENT}
    for name in declared:
        known = spellings.setdefault(name.lower(), name)
        if known != name:
            raise PipelineError(
                where,
                f"{name!r} and {known!r} are the same environment: case does not matter",
                "Keep one of them.",
            )


def declared_environment(name: str, declared: tuple[str, ...]) -> str:
    """Return the declared spelling of an environment, whatever the case it was typed in.

    `local` is always known. Raises PipelineError naming the declared ones.
    """
    names = tuple(dict.fromkeys((*declared, LOCAL_ENVIRONMENT)))
    for candidate in names:
        if candidate.lower() == name.lower():
            return candidate
    known = ", ".join(names)
    raise PipelineError(
        "environment",
        f"there is no environment {name!r}",
        f"Declared are {known}. Add [tool.pipeline.environments.{name}] to pyproject.toml for it.",
    )
