"""AWS's errors, explained for the person who has to act on them.

Codes and HTTP statuses: botocore's Lambda service model (2015-03-31) and STS's (2011-06-15).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..core.errors import Conflict, PipelineError

_REFUSED = re.compile(r"perform: ([A-Za-z0-9]+:[A-Za-z0-9*]+)")
_DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
_CREDENTIALS = (
    "ExpiredToken", "ExpiredTokenException", "IncompleteSignature", "InvalidClientTokenId",
    "InvalidSignatureException", "MissingAuthenticationToken", "SignatureDoesNotMatch",
    "UnrecognizedClientException",
)  # fmt: skip
# What AWS says where waiting helps. The same code tells of what is there already.
_UNDER_WAY = re.compile("in progress|state: |at this time|try again", re.IGNORECASE)
_THROTTLED = ("TooManyRequestsException", "Throttling", "ThrottlingException")
_NEXT = {
    "ResourceNotFoundException": (
        "The environment's stack makes the function, a deploy never does: create the environment "
        "first, or correct the environment, the region or AWS.Lambda.Function.Name."
    ),
    "ResourceConflictException": "Look at the function, then deploy again.",
    "CodeStorageExceededException": (
        "The region's code storage is full: delete old function versions, or ask AWS for more."
    ),
    "RequestEntityTooLargeException": "Lambda takes 50 MB directly: set bucket in pyproject.toml.",
    "NoSuchBucket": "Make the bucket, in the region of the function, or correct its name.",
    "InvalidCodeSignatureException": "Sign the code, or change the function's signing policy.",
    "CodeVerificationFailedException": "Sign the code, or change the function's signing policy.",
    "InvalidParameterValueException": "Correct that value in pyproject.toml and build again.",
    "ServiceException": "AWS failed on its side: deploy again.",
}
_HINTS = {
    "CodeArtifact": "The code cannot be opened: build again.",
    "DisabledKMSKey": "Enable the KMS key of the function.",
    "EFS": "Look at the file system of the function and at its mount targets.",
    "EniLimitExceeded": "The account has no network interface left: free some, or ask for more.",
    "FunctionError": "The function does not start: look at its log, then at handler and runtime.",
    "Image": "Look at the container image of the function and at the rights on it.",
    "InsufficientRolePermissions": (
        "The function's role lacks a right, often ec2:CreateNetworkInterface."
    ),
    "InternalError": "AWS failed on its side: deploy again.",
    "InvalidRuntime": "AWS refuses the runtime: choose another one in pyproject.toml.",
    "InvalidSecurityGroup": "Correct the security group in the stack.",
    "InvalidStateKMSKey": "Look at the state of the KMS key of the function.",
    "InvalidSubnet": "Correct the subnet in the stack.",
    "InvalidZipFile": "AWS cannot open the code: build again.",
    "KMSKey": "Give the function's role kms:Decrypt on its key.",
    "SubnetOutOfIPAddresses": "The subnet has no free address: use a larger one in the stack.",
}


class Busy(PipelineError):  # noqa: N818 - named like the other errors of the family
    """Another update of the function is under way (409): waiting helps."""


def hint(reason: str) -> str:
    """Return what helps against a reason code of State or LastUpdateStatus, or an empty text."""
    return next((text for start, text in _HINTS.items() if reason.startswith(start)), "")


class Missing(PipelineError):  # noqa: N818 - named like the other errors of the family
    """What was asked for is not there (404)."""


class Throttled(PipelineError):  # noqa: N818 - named like the other errors of the family
    """AWS limits how often this is asked: later it may be."""


class InUse(PipelineError):  # noqa: N818 - named like the other errors of the family
    """Something needs it (409): waiting does not help."""


class Unanswered(PipelineError):  # noqa: N818 - named like the other errors of the family
    """No answer came: whether the request was carried out is not known."""


_KINDS = {
    "ResourceConflictException": InUse,
    "ResourceNotFoundException": Missing,
    "ChangeSetNotFound": Missing,
    "NoSuchBucket": Missing,
    "NoSuchEntity": Missing,
    "QueueDoesNotExist": Missing,
    "AWS.SimpleQueueService.NonExistentQueue": Missing,
}


@contextmanager
def explained_errors(where: str, permission: str) -> Iterator[None]:
    """Turn botocore's errors into PipelineErrors; `permission` is what the call needs.

    Raises Busy for a 409 that ends by itself, InUse for another one, Conflict for a revision that
    has gone stale (412), Missing for what is not there, Throttled for what is asked too often,
    Unanswered where the connection was lost.
    """
    # In the package, beside the library.
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
    from botocore.parsers import ResponseParserError  # noqa: PLC0415

    try:
        yield
    except ClientError as error:
        raise _explained(where, permission, error.response) from error
    except BotoCoreError as error:
        raise _unreached(where, error) from error
    except (ResponseParserError, AttributeError, LookupError, TypeError, ValueError) as error:
        # The client's parser takes AWS at its word, and stumbles over an answer of other types.
        then = "Is a proxy in the way? Deploy again: a deploy continues where it stopped."
        raise Unanswered(where, f"AWS's answer cannot be read: {error}", then) from error


def ask(client: Any, service: str, method: str, where: str, **request: Any) -> Any:
    """Call a client. Raises what `explained_errors` does; the right is named like the method."""
    with explained_errors(where, f"{service}:{_action(method)}"):
        return getattr(client, method)(**request)


def pages(
    client: Any, service: str, method: str, part: str, where: str, **request: Any
) -> Iterator[dict[str, Any]]:
    """Yield what a call lists in `part` of its answers, page by page. Raises as `ask` does."""
    with explained_errors(where, f"{service}:{_action(method)}"):
        for page in client.get_paginator(method).paginate(**request):
            yield from map(dict, page.get(part, ()))


def _action(method: str) -> str:
    return "".join(word.capitalize() for word in method.split("_"))


def _explained(where: str, permission: str, response: Mapping[str, Any]) -> PipelineError:
    code = str(response.get("Error", {}).get("Code", ""))
    message = str(response.get("Error", {}).get("Message", "")).strip()
    answer = f"AWS answers {code}: {message}"
    if code == "ResourceConflictException" and _UNDER_WAY.search(message):
        return Busy(
            where, answer, "Another update is under way: wait for its end and deploy again."
        )
    if code == "PreconditionFailedException":
        return Conflict(where, answer, "Deploy again on what is there now.")
    if code in _DENIED:
        found = _REFUSED.search(message)
        right = found[1] if found else permission
        what = f"the deploy's credentials lack {right}"
        return PipelineError(where, what, f"Allow {right} for them. {answer}")
    if code in _CREDENTIALS:
        then = "Renew AWS.Deployment.Key and .Secret, or the credentials of the step."
        return PipelineError(where, answer, then)
    if code in _THROTTLED:
        return Throttled(where, answer, "AWS limits its API calls: try again in a minute.")
    is_no_stack = code == "ValidationError" and "does not exist" in message
    kind = Missing if is_no_stack else _KINDS.get(code, PipelineError)
    return kind(where, answer, _NEXT.get(code, "Look the code up in AWS's documentation."))


def _unreached(where: str, error: Exception) -> PipelineError:
    kind = type(error).__name__
    if "Credential" in kind:
        then = "Set AWS.Deployment.Key and AWS.Deployment.Secret, or give the step an AWS account."
        return PipelineError(where, f"there are no AWS credentials ({error})", then)
    if kind == "ParamValidationError":
        return PipelineError(where, f"the AWS client refuses: {error}", "Correct that value.")
    return Unanswered(
        where,
        f"AWS could not be asked: {error}",
        "Look at the network, the proxy and the region, then deploy again: a deploy continues "
        "where it stopped.",
    )
