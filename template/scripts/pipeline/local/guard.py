"""Who may talk to the embedded AWS: holders of the key made at its start, and nobody else.

A page in a browser is refused by its `Origin`, one that plays with names (DNS rebinding) by
its `Host`. Signatures are not computed again: the access key itself is the secret, 120 random
bits that only the owner of the state file and the functions know.
"""

from __future__ import annotations

import hmac
import io
import re
from collections.abc import Iterable

from .aws_http import App, Environ, Reply, Scope, Start, error_reply, scope, send

# S3 takes no more than this of a posted form before its file.
_FIELDS_LIMIT = 20_480
_FORM_KEY = re.compile(rb'name="(?:x-amz-credential|AWSAccessKeyId)"\r\n\r\n([^/\r]+)')
_HINT = "Take endpoint, access key and secret key from the state file of the embedded AWS."


def guarded(app: App, *, keys: tuple[str, ...], hosts: tuple[str, ...]) -> App:
    """Return an application that lets these keys and hosts through; others get AWS's error."""

    def answer(environ: Environ, start_response: Start) -> Iterable[bytes]:
        refusal = _refusal(environ, keys, hosts)
        if refusal is not None:
            return send(refusal, start_response)
        return app(environ, start_response)

    return answer


def _refusal(environ: Environ, keys: tuple[str, ...], hosts: tuple[str, ...]) -> Reply | None:
    if environ.get("HTTP_ORIGIN"):
        message = "The embedded AWS answers no web pages: the request has an Origin header."
        return error_reply(environ, 403, "AccessDenied", message)
    host = environ.get("HTTP_HOST", "")
    if host not in hosts:
        message = f"The embedded AWS is not {host!r}: it answers on {hosts[0]} only."
        return error_reply(environ, 403, "AccessDenied", message)
    asking = scope(environ)
    form = environ.get("CONTENT_TYPE", "").startswith("multipart/form-data")
    if form and not asking.access_key:
        asking = _of_form(environ, keys)
    if _is_known(asking, keys):
        return None
    if not asking.access_key:
        message = f"The embedded AWS takes signed requests only. {_HINT}"
        return error_reply(environ, 403, "MissingAuthenticationToken", message)
    code = "InvalidAccessKeyId" if asking.service == "s3" else "UnrecognizedClientException"
    message = f"The embedded AWS does not know this access key; real ones are never taken. {_HINT}"
    return error_reply(environ, 403, code, message)


def _is_known(asking: Scope, keys: tuple[str, ...]) -> bool:
    return any(hmac.compare_digest(asking.access_key.encode(), key.encode()) for key in keys)


def _of_form(environ: Environ, keys: tuple[str, ...]) -> Scope:
    """Read whom a form that is posted to S3 is from; a stranger's file is not read."""
    length, body = int(environ.get("CONTENT_LENGTH") or 0), environ["wsgi.input"]
    fields = body.read(min(length, _FIELDS_LIMIT))
    found = _FORM_KEY.search(fields)
    asking = Scope(found[1].decode("latin-1") if found else "", "s3")
    if _is_known(asking, keys):
        environ["wsgi.input"] = io.BytesIO(fields + body.read(length - len(fields)))
    return asking
