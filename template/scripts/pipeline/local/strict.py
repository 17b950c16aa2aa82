"""A strict layer over moto's Lambda: what AWS refuses is refused, what moto ignores is honoured.

moto issues no RevisionIds, takes any bytes, any setting and any weight, deletes a version that an
alias needs, and ignores S3ObjectVersion, the hash of a DryRun, and the qualifier of a permission;
nothing takes it any time. A deploy tried only against that would pass here and fail in production.
Covered: functions and aliases, their code, settings, versions, permissions and retry settings.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import request
from moto.awslambda.models import LambdaAlias, LambdaFunction, LambdaStorage
from moto.awslambda.responses import LambdaResponse
from moto.core.utils import camelcase_to_underscores
from moto.s3.models import s3_backends

from .moto_aliases import weights
from .patches import Original, Patches
from .strict_rules import (
    LATEST,
    Refusal,
    check_code,
    check_parameters,
    check_settings,
    check_weights,
    invalid,
    stale,
)

# moto hangs these on the function itself, whatever qualifier the call has.
_QUALIFIED = frozenset(
    {
        "AddPermission",
        "DeleteFunctionEventInvokeConfig",
        "GetFunctionEventInvokeConfig",
        "GetPolicy",
        "PutFunctionEventInvokeConfig",
        "RemovePermission",
        "UpdateFunctionEventInvokeConfig",
    }
)
_PENDING = {
    "State": "Pending",
    "StateReason": "The function is being created.",
    "StateReasonCode": "Creating",
}
_IN_PROGRESS = {
    "LastUpdateStatus": "InProgress",
    "LastUpdateStatusReason": "The function is being created.",
    "LastUpdateStatusReasonCode": "Creating",
}
# What a stack makes and changes is done at once.
_called = ContextVar("called through Lambda's API", default=False)


@dataclass(frozen=True)
class Settling:
    """How many seconds, by the clock `now`, a change of a function takes until it has settled."""

    seconds: float = 0.0
    now: Callable[[], float] = time.monotonic

    def begin(self, function: Any, state: Mapping[str, str]) -> None:
        """Hold what was made or changed as pending or in progress, until its time is up."""
        function.held = (self.now() + self.seconds if _called.get() else 0.0, state)
        _renew(function)

    def state(self, function: Any) -> Mapping[str, str]:
        """Return what of a function or version has not settled yet."""
        until, state = function.held
        return state if self.now() < until else {}


@dataclass(frozen=True)
class _Call:
    """A call of the Lambda API: which function of which backend it means, and its body.

    `name` has no qualifier. `item` is the name that an alias has in the address.
    """

    operation: str
    backend: Any
    settling: Settling
    name: str
    qualifier: str
    item: str
    body: dict[str, Any]

    def function(self, qualifier: str = "") -> Any:
        """Return moto's function; one that is not there is refused in AWS's words."""
        return self.backend.get_function(self.name, qualifier or None)

    def check_revision(self, current: Callable[[], str]) -> None:
        """Refuse a RevisionId that is not the current one; moto does not get it."""
        if (given := self.body.pop("RevisionId", None)) and given != current():
            raise stale()

    def latest_revision(self) -> str:
        """Return the RevisionId of $LATEST."""
        return str(self.function().get_configuration()["RevisionId"])

    def check_settled(self) -> None:
        """Refuse what has to wait for an earlier change."""
        function = self.function()
        if self.settling.state(function):
            raise _not_now(f"An update is in progress for resource: {function.function_arn}")


def be_strict(patches: Patches, settling: Settling) -> None:
    """Check calls of Lambda's API before moto sees them; one that changes anything at a time."""
    turn = threading.RLock()
    for operation in _CHECKS.keys() | _QUALIFIED:
        name = camelcase_to_underscores(operation)
        patches.wrap(LambdaResponse, name, partial(_checked, settling, turn))
    patches.wrap(LambdaResponse, "invoke", partial(_invoke, settling))
    patches.wrap(LambdaFunction, "__init__", partial(_init, settling))
    patches.wrap(LambdaFunction, "get_configuration", partial(_get_configuration, settling))
    for name in ("update_configuration", "update_function_code"):
        patches.wrap(LambdaFunction, name, partial(_update, settling))
    patches.wrap(LambdaStorage, "publish_version", partial(_publish, settling))
    patches.wrap(LambdaAlias, "update", _update_alias)


def _checked(settling: Settling, turn: threading.RLock, original: Original, self: Any) -> Any:
    asked = _read_call(settling, self)
    with turn:
        if request.method in {"POST", "PUT"}:
            check_parameters(asked.operation, asked.body)
        instead = _CHECKS.get(asked.operation, _no_check)(asked)
        if instead is not None:
            return instead
        if asked.body:
            self.body = json.dumps(asked.body)
        if asked.operation in _QUALIFIED and asked.qualifier:
            # Written into the function's name, moto heeds it.
            name, _, rest = self.path.partition("/functions/")[2].partition("/")
            qualified = f"{asked.name.rpartition(':')[2]}:{asked.qualifier}"
            self.path = self.path.replace(f"/{name}/{rest}", f"/{qualified}/{rest}")
            self.querystring.pop("Qualifier", None)
        before = _called.set(True)
        try:
            return original(self)
        finally:
            _called.reset(before)


def _invoke(settling: Settling, original: Original, self: Any) -> Any:
    """Refuse to run what is not ready; during an update of $LATEST it runs."""
    asked = _read_call(settling, self, has_body=False)
    if settling.state(asked.function(asked.qualifier)) == _PENDING:
        raise _not_now("The function is currently in the following state: Pending")
    return original(self)


def _read_call(settling: Settling, call: Any, *, has_body: bool = True) -> _Call:
    operation = call._get_action()  # noqa: SLF001 - moto's own way to know it
    parts = call.uri_match.get("FunctionName", "").split(":")
    # `fn:1`, or an ARN with an eighth part.
    at = 7 if parts[0] == "arn" else 1
    try:
        body = json.loads(call.body) if has_body and call.body else {}
    except ValueError as error:
        raise Refusal(400, "InvalidRequestContentException", f"Could not parse: {error}") from error
    return _Call(
        operation=operation,
        backend=call.backend,
        settling=settling,
        name=":".join(parts[:at]),
        qualifier=request.args.get("Qualifier", ":".join(parts[at:])),
        item=call.uri_match.get("Name", ""),
        body=body if isinstance(body, dict) else {},
    )


def _init(
    settling: Settling,
    original: Original,
    self: Any,
    account_id: str,
    spec: dict[str, Any],
    region: str,
    version: Any = 1,
) -> None:
    original(self, account_id, spec, region, version)
    settling.begin(self, _PENDING)


def _get_configuration(
    settling: Settling, original: Original, self: Any, on_create: bool = False
) -> Any:
    state = settling.state(self)
    # An update that has settled has another one: that in the answer to the update is of no use.
    return {**original(self, on_create), "RevisionId": self.revisions[not state], **state}


def _update(settling: Settling, original: Original, self: Any, *spec: Any) -> Any:
    original(self, *spec)
    # moto changes the code of what it has published, too: to the same.
    if str(self.version) == LATEST:
        settling.begin(self, _IN_PROGRESS)
    return self.get_configuration()


def _publish(
    settling: Settling, original: Original, self: Any, name_or_arn: str, description: str = ""
) -> Any:
    latest = self.get_function_by_name_or_arn_forbid_qualifier(name_or_arn)
    before = [*self.list_versions_by_function(latest.function_name)]
    version = original(self, name_or_arn, description)
    if version not in before:
        settling.begin(version, _PENDING)
        _renew(latest)
    return version


def _update_alias(original: Original, self: Any, *settings: Any) -> None:
    original(self, *settings)
    self.revision_id = str(uuid.uuid4())


def _renew(function: Any) -> None:
    """Give a function other RevisionIds: until it has settled, and then."""
    function.revisions = str(uuid.uuid4()), str(uuid.uuid4())


def _not_now(why: str) -> Refusal:
    what = f"The operation cannot be performed at this time. {why}"
    return Refusal(409, "ResourceConflictException", what)


def _no_check(_: _Call) -> None:
    """Nothing but the service's model tells what is wrong."""


def _check_creation(asked: _Call) -> None:
    check_settings(asked.body, creating=True)
    _resolve_code(asked, asked.body.get("Code") or {})


def _check_update(asked: _Call) -> None:
    if not asked.body.get("DryRun"):
        asked.check_settled()
    if asked.qualifier not in {"", LATEST}:
        raise invalid("Current operation does not support versions other than $LATEST.")
    asked.check_revision(asked.latest_revision)
    check_settings(asked.body, creating=False)


def _check_code(asked: _Call) -> Any:
    """Check new code; of a DryRun, answer as if it had been taken."""
    _check_update(asked)
    _resolve_code(asked, asked.body)
    config = {**asked.function().get_configuration(), "Version": LATEST}
    if not asked.body.get("DryRun"):
        return None
    code = base64.b64decode(asked.body["ZipFile"])
    config["CodeSha256"] = base64.b64encode(hashlib.sha256(code).digest()).decode()
    config["CodeSize"] = len(code)
    if asked.body.get("Architectures"):
        config["Architectures"] = asked.body["Architectures"]
    return json.dumps(config)


def _check_publishing(asked: _Call) -> None:
    asked.check_settled()
    asked.check_revision(asked.latest_revision)
    given, current = asked.body.get("CodeSha256"), asked.function().code_sha_256
    if given and given != current:
        raise invalid(
            f"CodeSHA256 ({given}) is different from current CodeSHA256 in $LATEST ({current}). "
            "Please try again with the CodeSHA256 in $LATEST."
        )


def _check_alias(asked: _Call) -> None:
    """Refuse an alias that would lead nowhere, or to versions that cannot share its calls."""
    wanted = asked.body
    if asked.item:
        alias = asked.backend.get_alias(asked.item, asked.function().function_name)
        asked.check_revision(lambda: str(alias.revision_id))
        wanted = {**alias.to_json(), **asked.body}
    version = str(wanted["FunctionVersion"])
    share = (wanted.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    found = {number: asked.function(number) for number in (version, *share)}
    check_weights(version, share, {name: one.get_configuration() for name, one in found.items()})


def _check_statement(asked: _Call) -> None:
    there = asked.function(asked.qualifier).policy.statements
    sid = asked.body.get("StatementId")
    if sid in [statement.get("Sid") for statement in there]:
        message = (
            f"The statement id ({sid}) provided already exists. Please provide a new statement id, "
            "or remove the existing statement."
        )
        raise Refusal(409, "ResourceConflictException", message)


def _check_deletion(asked: _Call) -> Any:
    """Refuse to delete a version that is needed; an alias is no version, and is refused too."""
    if not asked.qualifier:
        return None
    if asked.qualifier == LATEST:
        raise invalid("$LATEST version cannot be deleted without deleting the function.")
    function = asked.function().function_name
    names = [
        alias.name
        for alias in asked.backend.list_aliases(function)
        if asked.qualifier in {alias.name, alias.function_version, *weights(alias)}
    ]
    if names:
        message = "Unable to delete version because the following aliases reference it: "
        raise Refusal(409, "ResourceConflictException", f"{message}[{', '.join(names)}]")
    there = [str(one.version) for one in asked.backend.list_versions_by_function(function)]
    # AWS lets what is not there be deleted.
    return None if asked.qualifier in there else (204, {"status": 204}, "")


def _resolve_code(asked: _Call, code: dict[str, Any]) -> None:
    """Replace the place of the code by its bytes, and refuse what Lambda would refuse."""
    if "S3Bucket" in code and "S3Key" in code:
        place = code.pop("S3Bucket"), code.pop("S3Key"), code.pop("S3ObjectVersion", None)
        data = _stored(asked.backend.account_id, *place)
        code["ZipFile"] = base64.b64encode(data).decode()
    elif "ZipFile" in code:
        data = base64.b64decode(code["ZipFile"])
    elif "ImageUri" in code:
        return
    else:
        raise invalid("Please provide a source for function code.")
    check_code(data)


def _stored(account: str, bucket: str, key: str, version: str | None) -> bytes:
    stored: Any = s3_backends[account]["aws"]
    problem = "Error occurred while GetObject. S3 Error Code: {}. S3 Error Message: {}"
    if bucket not in stored.buckets:
        text = "The specified bucket does not exist"
        raise invalid(problem.format("NoSuchBucket", text))
    found = stored.get_object(bucket, key, version_id=version)
    if found is None:
        code, text = "NoSuchKey", "The specified key does not exist."
        if version:
            code, text = "NoSuchVersion", "The specified version does not exist."
        raise invalid(problem.format(code, text))
    return bytes(found.value)


# By operation: what refuses a call that fits the model, or answers in moto's place.
_CHECKS: dict[str, Callable[[_Call], Any]] = {
    "AddPermission": _check_statement,
    "CreateAlias": _check_alias,
    "CreateFunction": _check_creation,
    "DeleteFunction": _check_deletion,
    "PublishVersion": _check_publishing,
    "UpdateAlias": _check_alias,
    "UpdateFunctionCode": _check_code,
    "UpdateFunctionConfiguration": _check_update,
}
