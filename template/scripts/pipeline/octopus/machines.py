"""Machines of an environment: a cloud region of its own, or a machine that others share."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import PipelineError
from .client import Octopus
from .document import Document, changed, text, texts
from .environments import OctopusEnvironment
from .fitting import Target

__all__ = ["deregister", "join_machine", "machine_named", "register_cloud_region", "targets_of"]

_CLOUD_REGION = "None"


def targets_of(octopus: Octopus, environment: OctopusEnvironment) -> list[Target]:
    """Return the machines of an environment as steps see them."""
    return [Target.of(machine) for machine in _machines_of(octopus, environment)]


def machine_named(octopus: Octopus, name: str) -> Document:
    """Return the machine of that name, in any case."""
    found = octopus.named("machines", name)
    if found is None:
        raise PipelineError(
            f"Octopus machine {name}",
            f"there is none of that name in space {octopus.space_name or 'Default'}",
            'Register it, or correct worker = "machine:NAME" in pyproject.toml '
            "[tool.pipeline.octopus].",
        )
    return found


def register_cloud_region(
    octopus: Octopus, environment: OctopusEnvironment, name: str, roles: Sequence[str], pool: str
) -> str:
    """Give the environment a cloud region of this name, and say what was done.

    `pool` names the worker pool that its steps run on; empty means the space's default one.
    """
    endpoint = {"CommunicationStyle": _CLOUD_REGION, "DefaultWorkerPoolId": _pool(octopus, pool)}
    there = octopus.named("machines", name)
    if there is None:
        octopus.post(
            "machines",
            {
                "Name": name,
                "EnvironmentIds": [environment.id],
                "Roles": list(roles),
                "TenantedDeploymentParticipation": "Untenanted",
                "TenantIds": [],
                "TenantTags": [],
                "IsDisabled": False,
                "Endpoint": endpoint,
            },
        )
        return f"cloud region {name} registered"
    if Target.of(there).has_disk:
        raise PipelineError(
            f"Octopus machine {name}",
            "it is no cloud region, and has the name that ours would have",
            "Rename that machine in Octopus.",
        )
    known = {role.casefold() for role in texts(there, "Roles")}
    missing = [role for role in roles if role.casefold() not in known]
    if not missing and environment.id in texts(there, "EnvironmentIds"):
        return f"cloud region {name} is there"
    environments = list(dict.fromkeys([*texts(there, "EnvironmentIds"), environment.id]))
    ready = changed(there, EnvironmentIds=environments, Roles=[*texts(there, "Roles"), *missing])
    octopus.put(f"machines/{text(there, 'Id')}", ready)
    return f"cloud region {name} brought up to date"


def join_machine(octopus: Octopus, environment: OctopusEnvironment, machine: Document) -> str:
    """Add the environment to a machine that is there, and say what was done."""
    name, environments = text(machine, "Name"), texts(machine, "EnvironmentIds")
    if environment.id in environments:
        return f"machine {name} has it"
    ready = changed(machine, EnvironmentIds=[*environments, environment.id])
    octopus.put(f"machines/{text(machine, 'Id')}", ready)
    return f"added to machine {name}"


def deregister(octopus: Octopus, environment: OctopusEnvironment) -> list[str]:
    """Take every machine out of an environment, and say what was done.

    A machine with other environments keeps them; one without goes.
    """
    done = []
    for machine in _machines_of(octopus, environment):
        name, id_ = text(machine, "Name"), text(machine, "Id")
        others = [other for other in texts(machine, "EnvironmentIds") if other != environment.id]
        if others:
            octopus.put(f"machines/{id_}", changed(machine, EnvironmentIds=others))
            done.append(f"taken out of machine {name}")
        else:
            octopus.delete(f"machines/{id_}")
            done.append(f"machine {name} deregistered")
    return done


def _machines_of(octopus: Octopus, environment: OctopusEnvironment) -> list[Document]:
    # Read whole before anything changes: pages of a list that shrinks would leave some out. And
    # a server that does not know the filter would give us everybody's machines.
    found = list(octopus.all("machines", environmentIds=environment.id))
    return [machine for machine in found if environment.id in texts(machine, "EnvironmentIds")]


def _pool(octopus: Octopus, name: str) -> str:
    if not name:
        return ""
    found = octopus.named("workerpools", name)
    if found is None:
        raise PipelineError(
            f"Octopus worker pool {name}",
            f"there is none of that name in space {octopus.space_name or 'Default'}",
            "Correct worker-pool in pyproject.toml [tool.pipeline.octopus].",
        )
    return text(found, "Id")
