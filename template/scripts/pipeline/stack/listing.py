"""The stacks of a service in an account and region, and the functions in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..core.names import ALIAS, release_in
from ..deploy.aws_errors import Missing, explained_errors
from .change_set import ENVIRONMENT, EXPIRES, PROTECTED, SERVICE, Stacks, tags_of

# On the function: a stack takes a tag by an update only, which would change what is in it.
WARNED = "pipeline:warned"
_REVIEW = "REVIEW_IN_PROGRESS"


@dataclass(frozen=True)
class FoundStack:
    """A stack: `service` and `expires` are its tags, empty where it has none.

    `reason` is CloudFormation's for a status that is none to stay in; `protected` ones must not be
    deleted.
    """

    name: str
    environment: str
    service: str
    expires: str
    status: str
    reason: str
    created: datetime
    region: str
    account: str
    protected: bool = False

    @property
    def is_changing(self) -> bool:
        """Tell whether an operation is under way; one in review waits for a person."""
        return self.status.endswith("_IN_PROGRESS") and self.status != _REVIEW


@dataclass(frozen=True)
class FoundFunction:
    """A function: the release that `live` leads to, "" for none of ours, and `WARNED`'s tag."""

    arn: str
    release: str
    commit: str
    warned: str


def service_stacks(
    stacks: Stacks, where: str, service: str, untagged: Mapping[str, str]
) -> Iterator[FoundStack]:
    """Give the stacks that have a service's tag; of those with none the ones in `untagged`.

    That has the environments' names by their stacks' names.
    """
    for one in stacks.pages(where, "describe_stacks", "Stacks"):
        tags, name = tags_of(one), str(one["StackName"])
        owner = tags.get(SERVICE, "")
        if owner == service or (not owner and name in untagged):
            region, account = str(one["StackId"]).split(":")[3:5]
            yield FoundStack(
                name=name,
                environment=tags.get(ENVIRONMENT) or untagged.get(name, name),
                service=owner,
                expires=tags.get(EXPIRES, ""),
                status=str(one["StackStatus"]),
                reason=str(one.get("StackStatusReason", "")),
                created=one["CreationTime"],
                region=region,
                account=account,
                protected=bool(one.get(PROTECTED)),
            )


def find_function(functions: Any, name: str) -> FoundFunction | None:
    """Read what `live` leads to, without that alias the function itself; None without both."""
    for qualifier in ({"Qualifier": ALIAS}, {}):
        with suppress(Missing), explained_errors(name, "lambda:GetFunction"):
            answer = functions.get_function(FunctionName=name, **qualifier)
            found, tags = answer["Configuration"], answer.get("Tags") or {}
            arn = ":".join(str(found["FunctionArn"]).split(":")[:7])
            release, commit = release_in(str(found.get("Description", "")))
            return FoundFunction(arn, release, commit, str(tags.get(WARNED, "")))
    return None


def warn_of(functions: Any, function: FoundFunction, stamp: str) -> None:
    """Note on a function when it was warned of that it goes; an empty `stamp` takes that back."""
    if stamp:
        with explained_errors(function.arn, "lambda:TagResource"):
            functions.tag_resource(Resource=function.arn, Tags={WARNED: stamp})
    else:
        with explained_errors(function.arn, "lambda:UntagResource"):
            functions.untag_resource(Resource=function.arn, TagKeys=[WARNED])
