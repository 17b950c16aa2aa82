"""What Octopus gives a script on a worker, as one value.

Octopus puts `octopusvariables` and a few functions into the globals of the main script only;
no module can see them, so the script passes its globals in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import UsageError
from .aws_session import Credentials
from .traffic import ABORT, PROMOTE, STRATEGY_VARIABLE, TRAFFIC_VARIABLE

DRY_RUN_VARIABLE = "Pipeline.DryRun"
POLICY_VARIABLE = "Pipeline.PrintPolicy"
# A saved plan as JSON, which is then what is deployed, or nothing.
PLAN_VARIABLE = "Pipeline.FromPlan"
# The names, with commas between them, of variables that a plan may show; others may be secret.
PLAIN_VARIABLE = "Pipeline.PlainVariables"
# Earlier packages that are at hand: files by version, as JSON.
PACKAGES_VARIABLE = "Pipeline.Packages"
_FUNCTION = "AWS.Lambda.Function.Name"
_ENVIRONMENT = "Octopus.Environment.Name"
_RELEASE = "Octopus.Release.Number"
_KEY = "AWS.Deployment.Key"
_SECRET = "AWS.Deployment.Secret"  # noqa: S105 - the name of a variable
_REGION = "AWS.Deployment.Region"
_ROLE = "AWS.Deployment.RoleArn"
_EXTERNAL_ID = "AWS.Deployment.ExternalId"


@dataclass(frozen=True)
class WorkerContext:
    """A deployment as Octopus describes it. `function` is empty when the convention names it.

    `saved_plan` is one as JSON, or empty. `plain` are the variables that may be shown, `packages`
    the files of earlier packages by version. `strategy` is empty where the environment's own
    counts; `traffic` is PROMOTE, ABORT or empty.
    """

    environment: str
    release: str
    function: str
    dry_run: bool
    print_policy: bool
    credentials: Credentials
    variables: Mapping[str, str] = field(repr=False)
    saved_plan: str = ""
    plain: tuple[str, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)
    strategy: str = ""
    traffic: str = ""

    @classmethod
    def from_globals(cls, script: Mapping[str, Any], environ: Mapping[str, str]) -> WorkerContext:
        """Read the main script's globals, and AWS's own variables from `environ`.

        The variables AWS.Deployment.* win over those of the step's AWS account. Raises
        UsageError outside Octopus.
        """
        variables = script.get("octopusvariables")
        if not isinstance(variables, Mapping):
            raise UsageError(
                "deploy.py",
                "Octopus Deploy did not start this script: its variables are not there",
                "Run `python3 tasks.py deploy ENVIRONMENT` in the repository, "
                "or let Octopus run it.",
            )
        traffic = variables.get(TRAFFIC_VARIABLE, "").lower()
        if traffic not in ("", PROMOTE, ABORT):
            then = f"Set it to {PROMOTE} or {ABORT}, or to nothing."
            raise UsageError(TRAFFIC_VARIABLE, f"{traffic!r} is not known", then)
        return cls(
            environment=variables.get(_ENVIRONMENT, ""),
            release=variables.get(_RELEASE, ""),
            function=variables.get(_FUNCTION, ""),
            dry_run=variables.get(DRY_RUN_VARIABLE, "").lower() == "true",
            print_policy=variables.get(POLICY_VARIABLE, "").lower() == "true",
            credentials=_credentials(variables, environ),
            variables=dict(variables),
            saved_plan=variables.get(PLAN_VARIABLE, ""),
            plain=(_ENVIRONMENT, _RELEASE, *re.split(" *, *", variables.get(PLAIN_VARIABLE, ""))),
            packages=json.loads(variables.get(PACKAGES_VARIABLE, "{}")),
            strategy=variables.get(STRATEGY_VARIABLE, ""),
            traffic=traffic,
        )

    def place(self, declared: Mapping[str, str]) -> Mapping[str, str]:
        """Return where to deploy: as declared, but through Octopus's role where it has one."""
        role = self.variables.get(_ROLE, "")
        # An external id belongs to its role.
        external_id = self.variables.get(_EXTERNAL_ID, "")
        return {**declared, "role": role, "external_id": external_id} if role else declared

    def missing(self, place: Mapping[str, str]) -> list[str]:
        """Return the names of variables that every deploy needs and this one lacks.

        `place` is what is declared of the environment; where it has a region, no variable needs to.
        """
        wanted = [(_ENVIRONMENT, self.environment), (_RELEASE, self.release)]
        key, secret = self.variables.get(_KEY), self.variables.get(_SECRET)
        if key or secret:
            wanted += [(_KEY, key or ""), (_SECRET, secret or "")]
        # Without an environment nobody knows what is declared of it.
        if self.environment:
            wanted.append((_REGION, self.credentials.region or place.get("region", "")))
        return [name for name, value in wanted if not value]

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown anywhere."""
        own = self.variables.get(_SECRET, "")
        return tuple(x for x in (own, self.credentials.secret, self.credentials.token) if x)


def _credentials(variables: Mapping[str, str], environ: Mapping[str, str]) -> Credentials:
    given = Credentials.from_environment(environ)
    region = variables.get(_REGION) or given.region
    if variables.get(_KEY):
        return Credentials(variables[_KEY], variables.get(_SECRET, ""), "", region)
    return Credentials(given.key, given.secret, given.token, region)
