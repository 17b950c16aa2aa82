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
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode

from moto.awslambda.models import lambda_backends
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from .aws_http import App, Environ, Reply, Start, call, error_reply, scope, send
from .moto_aliases import STATE, weights
from .strict_rules import (
    LATEST,
    REQUEST_LIMIT,
    Refusal,
    check_code,
    check_parameters,
    check_settings,
    check_weights,
    invalid,
    stale,
)

_PATH = re.compile(
    r"(?P<date>/20\d\d-\d\d-\d\d)/functions/?(?:(?P<name>[^/]+)/?)?"
    r"(?:(?P<part>code|configuration|versions|aliases|policy|event-invoke-config|invocations)/?"
    r"(?P<item>[^/]+)?)?\Z"
)
_PROVISIONED = re.compile(r"GET /20\d\d-\d\d-\d\d/functions/[^/]+/provisioned-concurrency/?")
# moto hangs these on the function itself, whatever qualifier the call has.
_QUALIFIED = ("policy", "event-invoke-config")
_OPERATIONS = {
    "POST functions": "CreateFunction",
    "PUT configuration": "UpdateFunctionConfiguration",
    "PUT code": "UpdateFunctionCode",
    "POST versions": "PublishVersion",
    "POST aliases": "CreateAlias",
    "PUT aliases": "UpdateAlias",
    "PUT event-invoke-config": "PutFunctionEventInvokeConfig",
    "POST event-invoke-config": "UpdateFunctionEventInvokeConfig",
}
_SUCCESS = range(200, 300)
_JSON = (("Content-Type", "application/json"),)
# What is refused while an earlier one is under way, and itself takes time.
_SETTLES = ("POST functions", "PUT configuration", "PUT code", "POST versions")
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


@dataclass(frozen=True)
class Settling:
    """How many seconds, by the clock `now`, a change of a function takes until it has settled."""

    seconds: float = 0.0
    now: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class _Call:
    """A call of the Lambda API: what it wants of which function.

    `item` is what stands behind the part in the address: an alias, or a statement of the policy.
    """

    method: str
    name: str
    part: str
    item: str
    qualifier: str
    region: str
    body: dict[str, Any]

    @property
    def kind(self) -> str:
        """`POST /code` and the like, without names."""
        return f"{self.method} {self.part or ('function' if self.name else 'functions')}"


class StrictLambda:
    """A WSGI application in front of moto; one call that changes anything at a time."""

    def __init__(self, app: App, settling: Settling) -> None:
        self._app = app
        self._settling = settling
        self._held: dict[tuple[str, ...], tuple[float, dict[str, str]]] = {}
        self._revisions: dict[tuple[str, ...], tuple[str, str]] = {}
        self._lock = threading.RLock()

    def __call__(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        """Check a call of the Lambda API, let moto answer it, and complete the answer."""
        if _PROVISIONED.fullmatch(f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO', '')}"):
            # What asks whether there is any may know; that there can be none is said to others.
            none = json.dumps({"ProvisionedConcurrencyConfigs": []}).encode()
            return send(Reply(200, _JSON, none), start_response)
        path = _PATH.match(environ.get("PATH_INFO", ""))
        if scope(environ).service != "lambda" or not path:
            return self._app(environ, start_response)
        if int(environ.get("CONTENT_LENGTH") or 0) > REQUEST_LIMIT:
            message = f"Request must be smaller than {REQUEST_LIMIT} bytes for this operation"
            refused = error_reply(environ, 413, "RequestEntityTooLargeException", message)
            return send(refused, start_response)
        try:
            if path["part"] == "invocations":
                self._check_invocation(_read_call(environ, path, b""))
                return self._app(environ, start_response)  # which takes its time
            with self._lock:
                reply = self._answered(environ, path)
        except Refusal as refusal:
            reply = error_reply(environ, refusal.status, refusal.code, refusal.message)
        return send(reply, start_response)

    def _answered(self, environ: Environ, path: re.Match[str]) -> Reply:
        body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        asked = _read_call(environ, path, body)
        self._check(asked)
        if asked.kind == "PUT code" and asked.body.get("DryRun"):
            return self._dry_run(asked)
        if asked.part in _QUALIFIED and asked.qualifier:
            _qualify(environ, path["date"], asked)
        if asked.kind == "DELETE function" and asked.qualifier not in {"", *_versions(asked)}:
            return Reply(204, (), b"")  # AWS lets what is not there be deleted
        there = _versions(asked) if asked.name and asked.kind in _SETTLES else []
        rewritten = json.dumps(asked.body).encode() if asked.body else body
        reply = call(self._app, environ, rewritten)
        if reply.status not in _SUCCESS:
            return reply
        if asked.method != "GET":
            self._touch(asked)
        if asked.kind in _SETTLES:
            self._settle(asked, there)
        return self._completed(asked, reply)

    def _check(self, asked: _Call) -> None:
        body = asked.body
        if asked.kind in _OPERATIONS:
            check_parameters(_OPERATIONS[asked.kind], body)
        if asked.name and asked.kind in _SETTLES and not body.get("DryRun"):
            self._check_settled(asked)
        if asked.kind == "POST functions":
            check_settings(body, creating=True)
            _resolve_code(asked, body.get("Code") or {})
        elif asked.kind in {"PUT configuration", "PUT code"}:
            if asked.qualifier not in {"", LATEST}:
                raise invalid("Current operation does not support versions other than $LATEST.")
            self._check_revision(asked, body.pop("RevisionId", None))
            check_settings(body, creating=False)
            if asked.part == "code":
                _resolve_code(asked, body)
        elif asked.kind == "POST versions":
            self._check_revision(asked, body.pop("RevisionId", None))
            _check_published_hash(asked, body.get("CodeSha256"))
        elif asked.part == "aliases" and asked.method in {"POST", "PUT"}:
            self._check_revision(asked, body.pop("RevisionId", None))
            _check_alias(asked)
        elif asked.kind == "POST policy":
            _check_statement(asked)
        elif asked.kind == "DELETE function" and asked.qualifier:
            _check_deletion(asked)

    def _check_revision(self, asked: _Call, given: str | None) -> None:
        if not given:
            return
        if asked.part == "aliases":
            alias = _alias(asked).to_json()
            current = self._revision(_alias_key(alias), alias)
        else:
            config = {**_function(asked).get_configuration(), "Version": LATEST}
            current = self._revision(_function_key(asked.region, config), config)
        if given != current:
            raise stale()

    def _check_settled(self, asked: _Call) -> None:
        function = _function(asked)
        state = self._state((asked.region, function.function_name, "version", LATEST))
        if state:
            raise _not_now(f"An update is in progress for resource: {function.function_arn}")

    def _check_invocation(self, asked: _Call) -> None:
        """Refuse to run what is not ready; during an update of $LATEST it runs."""
        function = _function(asked, asked.qualifier)
        state = self._state(
            (asked.region, function.function_name, "version", str(function.version))
        )
        if state == _PENDING:
            raise _not_now("The function is currently in the following state: Pending")

    def _settle(self, asked: _Call, before: list[str]) -> None:
        """Hold what a call has made or changed as pending or in progress, until its time is up."""
        until = self._settling.now() + self._settling.seconds
        function = _function(replace(asked, name=asked.name or asked.body["FunctionName"]))
        key = (asked.region, function.function_name, "version")
        if asked.kind.startswith("PUT"):
            self._held[*key, LATEST] = (until, _IN_PROGRESS)
        for version in _versions(replace(asked, name=function.function_name)):
            if version not in before:
                self._held[*key, version] = (until, _PENDING)
                # Publishing gives $LATEST another one, too.
                self._revisions.pop((*key, LATEST), None)

    def _state(self, key: tuple[str, ...]) -> dict[str, str]:
        """Return what of a version has not settled yet."""
        until, state = self._held.get(key, (0.0, {}))
        return state if self._settling.now() < until else {}

    def _dry_run(self, asked: _Call) -> Reply:
        """Answer as if the code had been taken, and change nothing."""
        config = {**_function(asked).get_configuration(), "Version": LATEST}
        config["RevisionId"] = self._revision(_function_key(asked.region, config), config)
        code = base64.b64decode(asked.body["ZipFile"])
        config["CodeSha256"] = base64.b64encode(hashlib.sha256(code).digest()).decode()
        config["CodeSize"] = len(code)
        if asked.body.get("Architectures"):
            config["Architectures"] = asked.body["Architectures"]
        return Reply(200, _JSON, json.dumps(config).encode())

    def _revision(self, key: tuple[str, ...], document: dict[str, Any]) -> str:
        """Return the id of this state; another state has another id, however it came about.

        So it has when an update has settled: the id in the answer to the update is of no use then.
        """
        kept = {name: value for name, value in document.items() if name not in STATE}
        kept["settling"] = self._state(key)
        state = hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
        known = self._revisions.get(key)
        if known is None or known[0] != state:
            known = self._revisions[key] = (state, str(uuid.uuid4()))
        return known[1]

    def _touch(self, asked: _Call) -> None:
        """Forget the id of what was changed: also a change to the same values gets a new one."""
        function = (asked.region, _short(asked.name))
        mine: list[tuple[str, ...]] = []
        if asked.kind == "DELETE function" and not asked.qualifier:
            mine = [key for key in self._revisions if key[:2] == function]
        elif asked.part == "aliases":
            mine = [(*function, "alias", asked.item)]
        elif asked.part in {"code", "configuration"}:
            mine = [(*function, "version", LATEST)]
        for key in mine:
            self._revisions.pop(key, None)

    def _completed(self, asked: _Call, reply: Reply) -> Reply:
        """Add the RevisionIds that moto leaves out."""
        try:
            document = json.loads(reply.body)
        except ValueError:
            return reply
        for item in _described(document):
            if "AliasArn" in item:
                item["RevisionId"] = self._revision(_alias_key(item), item)
            elif "FunctionArn" in item and "Version" in item:
                key = _function_key(asked.region, item)
                item["RevisionId"] = self._revision(key, item)
                item.update(self._state(key))
        return Reply(reply.status, reply.headers, json.dumps(document).encode())


def _not_now(why: str) -> Refusal:
    what = f"The operation cannot be performed at this time. {why}"
    return Refusal(409, "ResourceConflictException", what)


def _read_call(environ: Environ, path: re.Match[str], body: bytes) -> _Call:
    query = parse_qs(environ.get("QUERY_STRING", ""))
    name, inside = _split(unquote(path["name"] or ""))
    try:
        document = json.loads(body) if body else {}
    except ValueError as error:
        raise Refusal(400, "InvalidRequestContentException", f"Could not parse: {error}") from error
    return _Call(
        method=environ["REQUEST_METHOD"],
        name=name,
        part=path["part"] or "",
        item=unquote(path["item"] or ""),
        qualifier=query.get("Qualifier", [inside])[0],
        region=scope(environ).region,
        body=document if isinstance(document, dict) else {},
    )


def _split(name: str) -> tuple[str, str]:
    """Split off a qualifier: `fn:1` or an ARN with an eighth part."""
    parts = name.split(":")
    at = 7 if name.startswith("arn:") else 1
    return ":".join(parts[:at]), ":".join(parts[at:])


def _short(name: str) -> str:
    return name.rsplit(":", 1)[-1]


def _qualify(environ: Environ, date: str, asked: _Call) -> None:
    """Write the qualifier into the function's name, where moto heeds it."""
    words = [date, "functions", f"{_short(asked.name)}:{asked.qualifier}", asked.part, asked.item]
    # werkzeug reads the one, moto the other.
    environ["PATH_INFO"] = environ["RAW_URI"] = "/".join(word for word in words if word)
    query = parse_qs(environ.get("QUERY_STRING", ""))
    environ["QUERY_STRING"] = urlencode({**query, "Qualifier": []}, doseq=True)


def _backend(asked: _Call) -> Any:
    return lambda_backends[DEFAULT_ACCOUNT_ID][asked.region]


def _function(asked: _Call, qualifier: str = "") -> Any:
    """Return moto's function, or refuse one that is not there in AWS's words."""
    try:
        return _backend(asked).get_function(asked.name, qualifier or None)
    except Exception as error:
        arn = f"arn:aws:lambda:{asked.region}:{DEFAULT_ACCOUNT_ID}:function:{_short(asked.name)}"
        arn += f":{qualifier}" if qualifier else ""
        raise Refusal(404, "ResourceNotFoundException", f"Function not found: {arn}") from error


def _alias(asked: _Call) -> Any:
    function = _function(asked)
    for alias in _backend(asked).list_aliases(function.function_name):
        if alias.name == asked.item:
            return alias
    arn = f"{function.function_arn}:{asked.item}"
    raise Refusal(404, "ResourceNotFoundException", f"Cannot find alias arn: {arn}")


def _versions(asked: _Call) -> list[str]:
    versions = _backend(asked).list_versions_by_function(_function(asked).function_name)
    return [str(version.version) for version in versions]


def _check_alias(asked: _Call) -> None:
    """Refuse an alias that would lead nowhere, or to versions that cannot share its calls."""
    wanted = {**(_alias(asked).to_json() if asked.method == "PUT" else {}), **asked.body}
    version = str(wanted["FunctionVersion"])
    share = (wanted.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    found = {number: _function(asked, number) for number in (version, *share)}
    check_weights(version, share, {name: one.get_configuration() for name, one in found.items()})


def _check_statement(asked: _Call) -> None:
    there = _function(asked, asked.qualifier).policy.statements
    sid = asked.body.get("StatementId")
    if sid in [statement.get("Sid") for statement in there]:
        message = (
            f"The statement id ({sid}) provided already exists. Please provide a new statement id, "
            "or remove the existing statement."
        )
        raise Refusal(409, "ResourceConflictException", message)


def _check_deletion(asked: _Call) -> None:
    """Refuse to delete a version that is needed; an alias is no version, and is refused too."""
    if asked.qualifier == LATEST:
        raise invalid("$LATEST version cannot be deleted without deleting the function.")
    names = [
        alias.name
        for alias in _backend(asked).list_aliases(_function(asked).function_name)
        if asked.qualifier in {alias.name, alias.function_version, *weights(alias)}
    ]
    if names:
        message = "Unable to delete version because the following aliases reference it: "
        raise Refusal(409, "ResourceConflictException", f"{message}[{', '.join(names)}]")


def _resolve_code(asked: _Call, code: dict[str, Any]) -> None:
    """Replace the place of the code by its bytes, and refuse what Lambda would refuse."""
    if "S3Bucket" in code and "S3Key" in code:
        data = _stored(code["S3Bucket"], code["S3Key"], code.pop("S3ObjectVersion", None))
        code.pop("S3Bucket")
        code.pop("S3Key")
        code["ZipFile"] = base64.b64encode(data).decode()
    elif "ZipFile" in code:
        data = base64.b64decode(code["ZipFile"])
    elif "ImageUri" in code:
        return
    else:
        raise invalid("Please provide a source for function code.")
    check_code(data)
    if asked.kind == "PUT code":
        _function(asked)


def _stored(bucket: str, key: str, version: str | None) -> bytes:
    stored: Any = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
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


def _check_published_hash(asked: _Call, given: str | None) -> None:
    current = _function(asked).code_sha_256
    if given and given != current:
        raise invalid(
            f"CodeSHA256 ({given}) is different from current CodeSHA256 in $LATEST ({current}). "
            "Please try again with the CodeSHA256 in $LATEST."
        )


def _described(document: Any) -> list[dict[str, Any]]:
    if not isinstance(document, dict):
        return []
    inner = [document, document.get("Configuration")]
    for key in ("Functions", "Versions", "Aliases"):
        inner += document.get(key) or []
    return [item for item in inner if isinstance(item, dict)]


def _function_key(region: str, config: dict[str, Any]) -> tuple[str, ...]:
    return region, str(config["FunctionName"]), "version", str(config["Version"])


def _alias_key(alias: dict[str, Any]) -> tuple[str, ...]:
    *_, region, _, _, function, name = str(alias["AliasArn"]).split(":")
    return region, function, "alias", name
