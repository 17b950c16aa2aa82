"""Temporary environments in lifecycles: in an optional phase of their own, in front.

In a phase of others a temporary environment would count for promotion: either releases would
have to be deployed to it, or a deployment to it would do instead of one to CI. An optional phase
may be passed by, and what stands before it in the lifecycle need not be done first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..core.errors import PipelineError
from .client import Document, Octopus
from .environments import OctopusEnvironment
from .projects import OctopusProject

PHASE = "Temporary environments"
_TARGETS = ("AutomaticDeploymentTargets", "OptionalDeploymentTargets")
_ATTEMPTS = 3


def admit(
    octopus: Octopus, projects: Iterable[OctopusProject], environment: OctopusEnvironment
) -> list[str]:
    """Let the projects' releases be deployed to the environment; return the lifecycles changed.

    Nothing needs to be done in a lifecycle without phases, or with a phase for any environment.
    """
    done = []
    for lifecycle_id in sorted(set(_lifecycles_of(octopus, projects))):
        for _ in range(_ATTEMPTS):
            lifecycle = octopus.get(f"lifecycles/{lifecycle_id}")
            if _admits(lifecycle, environment.id):
                break
            phases = _phases_with(lifecycle.documents("Phases"), environment.id)
            octopus.update("lifecycles", lifecycle, Phases=phases)
            # Somebody may have written in between: the loop reads again.
            done.append(lifecycle.text("Name"))
        else:
            raise PipelineError(
                f"Octopus lifecycle {lifecycle.text('Name')}",
                f"{environment.name} is not in it after {_ATTEMPTS} attempts to put it there",
                "Somebody else is changing it: run this again.",
            )
    return list(dict.fromkeys(done))


def expel(octopus: Octopus, environment: OctopusEnvironment) -> list[str]:
    """Take the environment out of every lifecycle, and return those that changed.

    A phase of others that would be left empty is not touched: it would then be one for any
    environment. The removal of the environment will name it.
    """
    done = []
    for lifecycle in list(octopus.all("lifecycles")):
        before = lifecycle.documents("Phases")
        phases = [_without(phase, environment.id) for phase in before]
        kept = [phase for phase in phases if phase.text("Name") != PHASE or _targets(phase)]
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
    # The phase of any environment is entered when those before it are done; that is its owner's
    # choice, and an environment in it would make it one for that environment alone.
    return not phases or any(
        environment_id in _targets(phase) or not _targets(phase) for phase in phases
    )


def _phases_with(phases: list[Document], environment_id: str) -> list[Mapping[str, Any]]:
    for number, phase in enumerate(phases):
        if phase.text("Name") == PHASE:
            targets = [*phase.texts("OptionalDeploymentTargets"), environment_id]
            extended = phase.changed(OptionalDeploymentTargets=targets)
            return [*phases[:number], extended, *phases[number + 1 :]]
    ours = {
        "Name": PHASE,
        "AutomaticDeploymentTargets": [],
        "OptionalDeploymentTargets": [environment_id],
        "MinimumEnvironmentsBeforePromotion": 0,
        "IsOptionalPhase": True,
    }
    return [ours, *phases]


def _without(phase: Document, environment_id: str) -> Document:
    if environment_id not in _targets(phase):
        return phase
    if phase.text("Name") != PHASE and set(_targets(phase)) == {environment_id}:
        return phase
    left = {
        name: [target for target in phase.texts(name) if target != environment_id]
        for name in _TARGETS
    }
    return phase.changed(**left)


def _targets(phase: Document) -> list[str]:
    return [target for name in _TARGETS for target in phase.texts(name)]
