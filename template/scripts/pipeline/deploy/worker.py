"""What Octopus gives a script on a worker, as one value.

Octopus puts `octopusvariables` and a few functions into the globals of the main script only;
no module can see them, so the script passes its globals in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import PipelineError, UsageError
from .aws_session import Credentials

DRY_RUN_VARIABLE = "Pipeline.DryRun"
POLICY_VARIABLE = "Pipeline.PrintPolicy"
_FUNCTION = "AWS.Lambda.Function.Name"
_ENVIRONMENT = "Octopus.Environment.Name"
_RELEASE = "Octopus.Release.Number"
_KEY = "AWS.Deployment.Key"
_SECRET = "AWS.Deployment.Secret"  # noqa: S105 - the name of a variable
_REGION = "AWS.Deployment.Region"
_WHERE = "Octopus variables"


@dataclass(frozen=True)
class WorkerContext:
    """A deployment as Octopus describes it. `function` is empty when the convention names it."""

    environment: str
    release: str
    function: str
    dry_run: bool
    print_policy: bool
    credentials: Credentials
    variables: Mapping[str, str] = field(repr=False)

    @classmethod
    def from_globals(cls, script: Mapping[str, Any], environ: Mapping[str, str]) -> WorkerContext:
        """Read the main script's globals, and AWS's own variables from `environ`.

        The variables AWS.Deployment.* win over those of the step's AWS account. Raises
        UsageError outside Octopus and PipelineError that names every missing variable.
        """
        variables = script.get("octopusvariables")
        if not isinstance(variables, Mapping):
            raise UsageError(
                "deploy.py",
                "Octopus Deploy did not start this script: its variables are not there",
                "Run `python3 tasks.py deploy ENVIRONMENT` in the repository, "
                "or let Octopus run it.",
            )
        _refuse_missing(variables)
        return cls(
            environment=variables.get(_ENVIRONMENT, ""),
            release=variables.get(_RELEASE, ""),
            function=variables.get(_FUNCTION, ""),
            dry_run=variables.get(DRY_RUN_VARIABLE, "").lower() == "true",
            print_policy=variables.get(POLICY_VARIABLE, "").lower() == "true",
            credentials=_credentials(variables, environ),
            variables=dict(variables),
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown anywhere."""
        own = self.variables.get(_SECRET, "")
        return tuple(x for x in (own, self.credentials.secret, self.credentials.token) if x)


def _refuse_missing(variables: Mapping[str, str]) -> None:
    missing = [name for name in (_ENVIRONMENT, _RELEASE) if not variables.get(name)]
    pair = [name for name in (_KEY, _SECRET) if not variables.get(name)]
    missing += pair if len(pair) == 1 else []
    if missing:
        words = "is missing" if len(missing) == 1 else "are missing"
        then = "Set them in the project's variables, scoped to this environment."
        raise PipelineError(_WHERE, f"{' and '.join(missing)} {words}", then)


def _credentials(variables: Mapping[str, str], environ: Mapping[str, str]) -> Credentials:
    given = Credentials.from_environment(environ)
    region = variables.get(_REGION) or given.region
    if variables.get(_KEY):
        return Credentials(variables[_KEY], variables.get(_SECRET, ""), "", region)
    return Credentials(given.key, given.secret, given.token, region)
