"""`env.create --print-policy`: what `env.*` needs in AWS, worked out without asking it."""

from __future__ import annotations

from dataclasses import replace

from ..core.events import Reporter
from ..core.names import resource_name
from ..deploy.policy import document
from ..project.project import Project
from ..project.sources import STACK
from ..project.stack import resource_types
from ..stack.rights import Scope, statements, without_rights

# The stack's parameter that bounds the roles which it makes.
BOUNDARY = "PermissionsBoundary"
_NAMED = "#{Octopus.Environment.Name}"
_PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}


def environment_policy(project: Project, name: str, like: str, reporter: Reporter) -> str:
    """Return the smallest policy for making, changing, listing and removing an environment.

    `like` names the declared one in whose place another one is made. Where the settings name no
    account or region, any stands in it. The deploy at the end has a policy of its own.
    """
    environment = project.environment(like or name)
    if like:
        environment = replace(environment, name=name)
    types, region = resource_types(project.root), environment.region or "*"
    for kind in without_rights(types):
        reporter.warn(f"{STACK}: add what {kind} needs: this policy has nothing for it")
    partition = next((p for start, p in _PARTITIONS.items() if region.startswith(start)), "aws")
    boundary = environment.parameters.get(BOUNDARY, "")
    stack = resource_name(environment.name, project.function.name)
    account = environment.account or "*"
    # What is deployed through a folder of the environment's own goes with it.
    code, _, prefix = project.function.bucket.partition("/")
    prefix = prefix.replace(_NAMED, environment.name)
    code = code if _NAMED in project.function.bucket and "#{" not in code + prefix else ""
    scope = Scope(
        partition, region, account, stack, project.package_id, boundary, code, f"{prefix}/"
    )
    return document(statements(types, scope))
