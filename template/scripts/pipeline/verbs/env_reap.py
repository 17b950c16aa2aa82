"""`env.reap`: removes the environments that are over, in Octopus and in AWS, after a warning."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..core.errors import PipelineError
from ..core.events import Reporter
from ..edge.machine import Machine
from ..octopus.environments import STAMP, find_environment, note_warning
from ..project.project import Project
from ..stack.change_set import EXPIRES, tags_of
from ..stack.listing import warn_of
from .env_list import Known, Survey
from .env_octopus import remove_from_octopus
from .env_place import Asked, StackOptions
from .env_stack import delete_stack


@dataclass(frozen=True)
class Reaped:
    """What a run did: the environments that it removed and those that it warned of, by name.

    `left` has a text for each thing that should be gone and is not.
    """

    environments: tuple[str, ...]
    warned: tuple[str, ...]
    left: tuple[str, ...]
    dry_run: bool


def reap(
    project: Project, survey: Survey, machine: Machine, reporter: Reporter, *, dry_run: bool
) -> Reaped:
    """Warn of what is over, and remove what was over and warned of before.

    One that cannot be removed does not keep the others. Raises PipelineError where neither Octopus
    nor any AWS could be read.
    """
    if not survey.octopus and survey.unread and not any(one.place for one in survey.environments):
        then = "Give this run a key for Octopus, or credentials for AWS."
        raise PipelineError("env.reap", "\n".join(survey.unread), then)
    stamp = survey.now.strftime(STAMP)
    removed, warned, left = [], [], []
    for one in survey.environments:
        why, name = survey.over(one), one.name
        goes = why and survey.goes_at_once(one)
        try:
            if why and one.stack and one.stack.is_changing:
                reporter.line(f"{name}: {why}, and its stack is {one.stack.status}: the next run")
            elif goes and dry_run:
                reporter.line(f"{name}: {why}: it would be removed")
                removed.append(name)
            elif goes and _was_moved(survey, one):
                reporter.line(f"{name}: {why}, and somebody has changed that now: the next run")
            elif goes:
                reporter.line(f"{name}: {why}")
                found = _removed(project, survey, one, machine, reporter)
                left += [f"{name}: {text}" for text in found]
                removed += [] if found else [name]
            elif why:
                if not dry_run:
                    _note(survey, one, stamp)
                reporter.warn(
                    f"{name}: {why}: the next run removes it; `python3 tasks.py env.create {name}` "
                    "with --expires keeps it"
                )
                warned.append(name)
            elif one.warned and one.is_ours and not dry_run:
                _note(survey, one, "")
        except PipelineError as error:
            left.append(f"{name}: {error}")
    names = tuple(dict.fromkeys(removed))
    return Reaped(names, tuple(dict.fromkeys(warned)), tuple(left), dry_run)


def _was_moved(survey: Survey, one: Known) -> bool:
    """Tell whether its end is another one than in the survey, which may be an hour old."""
    made = one.made and survey.octopus and find_environment(survey.octopus, one.name)
    stack = one.stack and one.place and one.place.stacks.find(one.stack.name)
    end = tags_of(stack or {}).get(EXPIRES, "")
    return bool((made and made != one.made) or (stack and one.stack and end != one.stack.expires))


def _note(survey: Survey, one: Known, stamp: str) -> None:
    """Note when it was warned of, in Octopus if it is there; without `stamp` take that back."""
    if not (one.made or one.is_read):
        what = "its function was not read, which would hold the warning"
        raise PipelineError(f"env.reap {one.name}", what, "Allow lambda:GetFunction.")
    if one.made and survey.octopus and (stamp or one.made.warned):
        note_warning(survey.octopus, one.made, stamp)
    if one.function and one.place and (not one.made if stamp else one.function.warned):
        warn_of(one.place.connection.functions, one.function, stamp)


def _removed(
    project: Project, survey: Survey, one: Known, machine: Machine, reporter: Reporter
) -> list[str]:
    """Remove an environment, and return what is left of it."""

    def octopus_half() -> None:
        if one.made and survey.octopus:
            remove_from_octopus(survey.octopus, one.made, reporter)

    stack = one.stack
    if stack is None or one.place is None:
        octopus_half()
        return []
    # As its stack says, which may be older than what the settings say now.
    function = stack.name.removeprefix(f"{stack.environment}-")
    if function == stack.name:
        what = f"its name does not begin with its environment, {stack.environment}"
        raise PipelineError(f"stack {stack.name}", what, "Delete it in CloudFormation.")
    there = replace(one.place.environment, name=stack.environment, permanent=False)
    as_made = replace(
        project, environments=(there,), function=replace(project.function, name=function)
    )
    options = StackOptions(stack.environment, local=one.place.environment.is_local)
    return delete_stack(Asked(as_made, options, machine, reporter), octopus_half)
