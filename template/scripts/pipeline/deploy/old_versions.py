"""Old versions of a function: which of them nobody needs any more, and their removal.

Each version keeps its code, and a region has a limit for all code together. What an alias, a weight
of one or provisioned concurrency leads to stays, and so does what a rollback would go to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..core.errors import PipelineError
from ..core.events import Stage
from ..core.names import ALIAS, release_in
from ..core.text import readable_size
from .aws_errors import InUse, Missing, ask, explained_errors
from .observe import listed
from .plan import Permission
from .releases import Move

_BACK = "what a rollback goes to"


@dataclass(frozen=True)
class OldVersion:
    """A published version: Lambda's number, its release if it is one, the bytes of its code.

    `needed` says why it stays, and is empty where it may go.
    """

    number: int
    release: str
    size: int
    needed: str = ""

    def __str__(self) -> str:
        return f"version {self.number} ({self.release or 'no release of ours'})"


@dataclass(frozen=True)
class Storage:
    """What all code of a region takes, and may take; in bytes."""

    used: int
    limit: int

    def __str__(self) -> str:
        left = readable_size(max(0, self.limit - self.used))
        return f"{readable_size(self.limit)} for code of all functions {left} are left"


def rights(arn: str) -> tuple[Permission, ...]:
    """Return the rights that looking and removing need, for the function of that ARN."""
    reads = ("ListVersionsByFunction", "ListAliases", "ListProvisionedConcurrencyConfigs")
    # Of versions alone: the function has no number.
    delete = Permission("lambda:DeleteFunction", f"{arn}:*")
    return (*(Permission(f"lambda:{action}", arn) for action in reads), delete)


def old_versions(client: Any, name: str, keep: int) -> tuple[OldVersion, ...]:
    """Return all versions, the newest first; `keep` of the newest ones stay in any case.

    Raises PipelineError where what needs them cannot be read: then none may go.
    """
    found = listed(client, "list_versions_by_function", "Versions", name)
    versions = [_version(one) for one in found if str(one.get("Version")).isdecimal()]
    versions.sort(key=lambda one: -one.number)
    reasons = dict(_in_use(client, name))
    live = next((one for one in versions if reasons.get(str(one.number)) == ALIAS), None)
    earlier = (one for one in versions if one.release and live and one.number < live.number)
    back = next((one for one in earlier if live and one.release != live.release), None)
    newest = {one.number for one in versions[: max(1, keep)]}

    def needed(one: OldVersion) -> str:
        if one is back:
            return _BACK
        if one.number in newest:
            return f"one of the {keep} newest" if keep > 1 else "the newest"
        return "" if one.release else "not made by this pipeline"

    return tuple(
        replace(one, needed=reasons.get(str(one.number)) or needed(one)) for one in versions
    )


def _version(one: Mapping[str, Any]) -> OldVersion:
    release = release_in(str(one.get("Description", "")))[0]
    return OldVersion(int(one["Version"]), release, int(one.get("CodeSize") or 0))


def _in_use(client: Any, name: str) -> Iterator[tuple[str, str]]:
    """Yield the versions that something leads to, and what; a later reason counts."""
    leads = {}
    for alias in listed(client, "list_aliases", "Aliases", name):
        weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        leads[alias["Name"]] = alias["FunctionVersion"]
        if alias["Name"] == ALIAS:
            yield Move.read(str(alias.get("Description", ""))).after, _BACK
        yield from ((version, f"a part of {alias['Name']}") for version in weights)
    part = "ProvisionedConcurrencyConfigs"
    for one in listed(client, "list_provisioned_concurrency_configs", part, name):
        qualifier = str(one["FunctionArn"]).rpartition(":")[2]
        yield leads.get(qualifier, qualifier), "provisioned concurrency"
    for alias in sorted(leads, key=lambda alias: alias == ALIAS):
        yield leads[alias], alias


def remove(
    client: Any, name: str, versions: tuple[OldVersion, ...], stage: Stage
) -> tuple[OldVersion, ...]:
    """Delete the versions that nobody needs, the oldest first; return those that went.

    One that something needs by now is passed over: AWS refuses that. Raises PipelineError.
    """
    going = [one for one in reversed(versions) if not one.needed]
    gone = []
    for number, one in enumerate(going):
        stage.progress(f"deleting {one}", number, len(going))
        try:
            of_one = {"FunctionName": name, "Qualifier": str(one.number)}
            ask(client, "lambda", "delete_function", f"{one} of {name}", **of_one)
        except (InUse, Missing):
            continue
        gone.append(one)
    size = readable_size(sum(one.size for one in gone))
    what = f"{len(gone)} removed, {size}" if gone else "none may go"
    stage.text = f"{what}; {len(versions) - len(gone)} stay"
    return tuple(gone)


def storage(client: Any) -> Storage | None:
    """Return what the region's code takes and may take; None where that may not be read."""
    try:
        with explained_errors("account", "lambda:GetAccountSettings"):
            answer = client.get_account_settings()
            parts = (answer["AccountUsage"], answer["AccountLimit"])
            return Storage(*(part["TotalCodeSize"] for part in parts))
    except PipelineError:
        return None
