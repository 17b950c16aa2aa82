"""Temporary environments in lifecycles: in an optional phase of their own, the first one.

In another phase a temporary environment would count for promotion: releases would have to be
deployed to it, or a deployment to it would replace one to CI. An optional phase can be skipped,
and the first one waits for no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..core.errors import PipelineError
from .client import Document, Octopus
from .environments import TARGETS, OctopusEnvironment, phase_targets
from .projects import OctopusProject

PHASE = "Temporary environments"
_ATTEMPTS = 3


def add_to_lifecycles(
    octopus: Octopus, projects: Iterable[OctopusProject], environment: OctopusEnvironment
) -> list[str]:
    """Allow the projects' releases in the environment; return the lifecycles that were changed.

    A lifecycle without phases, or with a phase for any environment, allows it already.
    """
    done = []
    for lifecycle_id in sorted(set(_lifecycles_of(octopus, projects))):
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


def _lifecycles_of(octopus: Octopus, projects: Iterable[OctopusProject]) -> Iterable[str]:
    for project in projects:
        channels = octopus.all(f"projects/{project.id}/channels")
        ids = [project.lifecycle_id, *(channel.reference("LifecycleId") for channel in channels)]
        yield from filter(None, ids)


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
