"""AWS credentials and the region, as a value that does not show its secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_VARIABLES = {
    "key": ("AWS_ACCESS_KEY_ID",),
    "secret": ("AWS_SECRET_ACCESS_KEY",),
    "token": ("AWS_SESSION_TOKEN",),
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
}


@dataclass(frozen=True)
class Credentials:
    """Access key, secret, session token and region; an empty text means "not given here".

    With an empty `key` the AWS client looks for credentials itself, such as a worker's role.
    """

    key: str = ""
    secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    region: str = ""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Credentials:
        """Read AWS's own environment variables."""
        found = {
            name: next((environ[variable] for variable in variables if environ.get(variable)), "")
            for name, variables in _VARIABLES.items()
        }
        return cls(**found)

    def as_environment(self) -> dict[str, str]:
        """Return AWS's own environment variables for a child process; empty ones are left out."""
        pairs = {
            variable: getattr(self, name)
            for name, variables in _VARIABLES.items()
            for variable in variables
        }
        return {name: value for name, value in pairs.items() if value}
