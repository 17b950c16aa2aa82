"""Octopus environments: finding, creating and removing them, and their place in lifecycles.

The description of one that `env.create` made names the package it was made for. In lifecycles it is
in an optional phase of its own, the first one: in another phase it would count for promotion, so
that releases would have to be deployed to it, or a deployment to it would replace one to CI. An
optional phase can be skipped, and the first one waits for no other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from ..core.errors import PipelineError
from ..edge.http import HttpError, NoAnswerError
from .client import Document, Octopus, once
from .projects import OctopusProject, Process, split_names

# Octopus has no other field of an environment that could hold this.
_MARK = re.compile(r"Made by env\.create for (?P<owner>\S+?)\.(?: Expires (?P<end>\S+?)\.)?$")
# In front of it, where older releases of this library do not mind it.
_WARNED = re.compile(r"env\.reap warned of its end (?P<when>\S+?)\. ")
# The properties of a lifecycle's phase that hold its environments.
TARGETS = ("AutomaticDeploymentTargets", "OptionalDeploymentTargets")
_IN_USE = (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT)
STAMP = "%Y-%m-%dT%H:%MZ"
PHASE = "Temporary environments"
_ATTEMPTS = 3


@dataclass(frozen=True)
class OctopusEnvironment:
    """An environment: `owner` is the package id it was made for, empty where we did not make it.

    `expires` is None where it was made without an end, `warned` where `env.reap` has not warned.
    """

    id: str
    name: str
    owner: str = ""
    expires: datetime | None = None
    warned: datetime | None = None

    @classmethod
    def of(cls, document: Document) -> OctopusEnvironment:
        """Read the resource."""
        text = document.text("Description")
        mark, note = _MARK.search(text), _WARNED.search(text)
        owner, end = (mark["owner"], moment(mark["end"] or "")) if mark else ("", None)
        warned = moment(note["when"]) if note else None
        return cls(document.identity(), document.text("Name"), owner, end, warned)

    def is_of_another(self, service: str) -> bool:
        """Tell whether it was made for another package than this one."""
        return self.owner not in ("", service)


def moment(stamp: str) -> datetime | None:
    """Read what `STAMP` writes; None for an empty text, and for one that was written by hand."""
    try:
        return datetime.strptime(stamp, STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def _description(owner: str, expires: datetime | None) -> str:
    """Return what `_MARK` reads. `expires` is cut to minutes."""
    end = f" Expires {expires.astimezone(UTC).strftime(STAMP)}." if expires else ""
    return f"Made by env.create for {owner}.{end}"


def find_environment(octopus: Octopus, name: str) -> OctopusEnvironment | None:
    """Return the environment of that name in any case, or None."""
    found = octopus.named("environments", name)
    return OctopusEnvironment.of(found) if found else None


def find_environments(octopus: Octopus, names: Sequence[str]) -> list[OctopusEnvironment]:
    """Return the environments of these names, in their order.

    Raises one PipelineError that names all missing ones and all that exist.
    """
    known = {env.name.casefold(): env for env in all_environments(octopus)}
    found, missing = split_names(names, known)
    if missing:
        there = ", ".join(env.name for env in known.values()) or "none"
        raise PipelineError(
            "Octopus environments",
            f"not found in space {octopus.space_name}: {', '.join(missing)}",
            f"There are {there}. Temporary ones are made by `python3 tasks.py env.create NAME`.",
        )
    return [known[name] for name in found]


def all_environments(octopus: Octopus) -> list[OctopusEnvironment]:
    """Return every environment of the space, in Octopus's order."""
    return [OctopusEnvironment.of(document) for document in octopus.all("environments")]


def ensure_environment(
    octopus: Octopus, name: str, owner: str, expires: datetime | None
) -> tuple[OctopusEnvironment, bool]:
    """Create or update an environment; return it and whether it was created.

    Scripts may register machines in it. Raises PipelineError where `env.create` did not make it.
    """
    description = _description(owner, expires)
    there = octopus.named("environments", name)
    created = there is None
    if there is None:
        wanted = {
            "Name": name,
            "Description": description,
            "AllowDynamicInfrastructure": True,
            "UseGuidedFailure": False,
        }
        there = once(
            lambda: octopus.post("environments", wanted),
            lambda: octopus.named("environments", name),
        )
    if not OctopusEnvironment.of(there).owner:
        raise PipelineError(
            f"env.create {name}",
            "there is an environment of that name in Octopus that env.create did not make",
            "Choose another name; or delete that one in Octopus if nobody needs it.",
        )
    is_ready = there.flag("AllowDynamicInfrastructure")
    if not is_ready or there.text("Description") != description:
        there = octopus.update(
            "environments", there, Description=description, AllowDynamicInfrastructure=True
        )
    return OctopusEnvironment.of(there), created


def note_warning(octopus: Octopus, environment: OctopusEnvironment, stamp: str) -> None:
    """Note in an environment when it was warned of its end; an empty `stamp` takes that back."""
    there = octopus.get(f"environments/{environment.id}")
    text = _WARNED.sub("", there.text("Description"))
    note = f"env.reap warned of its end {stamp}. " if stamp else ""
    octopus.update("environments", there, Description=f"{note}{text}")


def remove_environment(octopus: Octopus, environment: OctopusEnvironment) -> None:
    """Remove an environment; a missing one is no error.

    Raises PipelineError with the server's words and the list of what refers to it.
    """
    try:
        octopus.delete(f"environments/{environment.id}")
    except (HttpError, NoAnswerError) as error:
        # With many deployments the removal takes longer than a gateway waits, and goes on.
        if octopus.find(f"environments/{environment.id}") is None:
            return
        if not isinstance(error, HttpError) or error.status not in _IN_USE:
            raise
        references = _references(octopus, environment.id)
        listed = "\n".join(f"  {text}" for text in references) or "  nothing that this key may see"
        raise PipelineError(
            f"env.delete {environment.name}",
            f"Octopus refuses: {error.text}\nWhat refers to it:\n{listed}",
            "Take it out there, then run this again.",
        ) from error


def phase_targets(phase: Document) -> list[str]:
    """Return the ids of the environments in a lifecycle's phase."""
    return [target for name in TARGETS for target in phase.texts(name)]


def _references(octopus: Octopus, environment_id: str) -> list[str]:
    machines = [
        f"machine {machine.text('Name')}"
        for machine in octopus.all("machines", environmentIds=environment_id)
    ]
    phases = [
        f"lifecycle {lifecycle.text('Name')}, phase {phase.text('Name')}"
        for lifecycle in octopus.all("lifecycles")
        for phase in lifecycle.documents("Phases")
        if environment_id in phase_targets(phase)
    ]
    found = machines + phases
    for project in octopus.all("projects"):
        for step in Process.of(project).steps(octopus) or []:
            for action in step.documents("Actions"):
                named = action.texts("Environments") + action.texts("ExcludedEnvironments")
                if environment_id in named:
                    found.append(f"project {project.text('Name')}, step {action.text('Name')}")
    return found


def add_to_lifecycles(
    octopus: Octopus, projects: Sequence[OctopusProject], environment: OctopusEnvironment
) -> list[str]:
    """Allow the projects' releases in the environment; return the lifecycles that were changed.

    A lifecycle without phases, or with a phase for any environment, allows it already.
    """
    done = []
    ids = {project.lifecycle_id for project in projects}
    for project in projects:
        channels = octopus.all(f"projects/{project.id}/channels")
        ids |= {channel.reference("LifecycleId") for channel in channels}
    for lifecycle_id in sorted(ids - {""}):
        for _ in range(_ATTEMPTS):
            lifecycle = octopus.get(f"lifecycles/{lifecycle_id}")
            if _admits(lifecycle, environment.id):
                break
            phases = _phases_with(lifecycle.documents("Phases"), environment.id)
            octopus.update("lifecycles", lifecycle, Phases=phases)
            # Somebody may have changed it in between: the loop reads it again.
            done.append(lifecycle.text("Name"))
        else:
            raise PipelineError(
                f"Octopus lifecycle {lifecycle.text('Name')}",
                f"{environment.name} is not in it after {_ATTEMPTS} attempts to put it there",
                "Somebody else is changing it: run this again.",
            )
    return list(dict.fromkeys(done))


def remove_from_lifecycles(octopus: Octopus, environment: OctopusEnvironment) -> list[str]:
    """Remove the environment from every lifecycle, and return those that were changed.

    Somebody else's phase with no other environment stays as it is: an empty phase allows every
    environment. Removing the environment then fails and names the phase.
    """
    done = []
    for lifecycle in list(octopus.all("lifecycles")):
        before = lifecycle.documents("Phases")
        phases = [_without(phase, environment.id) for phase in before]
        kept = [phase for phase in phases if phase.text("Name") != PHASE or phase_targets(phase)]
        if kept != before:
            octopus.update("lifecycles", lifecycle, Phases=kept)
            done.append(lifecycle.text("Name"))
    return done


def _admits(lifecycle: Document, environment_id: str) -> bool:
    phases = lifecycle.documents("Phases")
    # An empty phase allows every environment; adding one would limit the phase to it.
    return not phases or any(
        environment_id in phase_targets(phase) or not phase_targets(phase) for phase in phases
    )


def _phases_with(phases: list[Document], environment_id: str) -> list[Mapping[str, Any]]:
    for number, phase in enumerate(phases):
        if phase.text("Name") == PHASE:
            targets = [*phase.texts("OptionalDeploymentTargets"), environment_id]
            extended = phase.changed(OptionalDeploymentTargets=targets)
            return [*phases[:number], extended, *phases[number + 1 :]]
    added = {
        "Name": PHASE,
        "AutomaticDeploymentTargets": [],
        "OptionalDeploymentTargets": [environment_id],
        "MinimumEnvironmentsBeforePromotion": 0,
        "IsOptionalPhase": True,
    }
    return [added, *phases]


def _without(phase: Document, environment_id: str) -> Document:
    if environment_id not in phase_targets(phase):
        return phase
    if phase.text("Name") != PHASE and set(phase_targets(phase)) == {environment_id}:
        return phase
    left = {
        name: [target for target in phase.texts(name) if target != environment_id]
        for name in TARGETS
    }
    return phase.changed(**left)
