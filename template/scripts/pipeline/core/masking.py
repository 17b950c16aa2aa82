"""A sink in front of a printer that hides secrets in every text of every event."""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any

from .errors import PipelineError
from .events import Event, Reporter, Sink

MASK = "********"
# Hiding every `1` or `on` would make a log unreadable, and the gaps would show the secret.
_SHORTEST = 4
_SECRETS = (
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "NUGET_API_KEY", "OCTOPUS_ACCESS_TOKEN",
    "OCTOPUS_API_KEY", "PIPELINE_SIGNING_KEY",
)  # fmt: skip
# The user and password of a URL, up to the last @ before its path.
_USER = re.compile(r"""(?<=://)([^\s/?#"'<>`]+)@""")


def masked(sink: Sink, secrets: Iterable[str]) -> Sink:
    """Return a sink that passes events on with `secrets` hidden.

    Each line of a secret counts, and its forms inside JSON, Python and URLs. Texts of fewer
    than 4 characters cannot be hidden. The password in a URL is hidden whether it is known or not.
    """
    hidden = _forms(secrets)

    def emit(event: Event) -> None:
        parts = {field.name: _hide(getattr(event, field.name), hidden) for field in fields(event)}
        sink(replace(event, **parts))

    return emit


@contextmanager
def hiding(secrets: Iterable[str], reporter: Reporter) -> Iterator[Reporter]:
    """Give a reporter that hides `secrets`; an error that leaves the block hides them too."""
    known = tuple(secrets)
    try:
        yield replace(reporter, emit=masked(reporter.emit, known))
    except PipelineError as error:
        raise _hide(error, _forms(known)) from error


def url_passwords(text: str) -> list[str]:
    """Return the passwords in the URLs of a text, as written, as meant, and as they are sent."""
    found = []
    for match in _USER.finditer(text):
        user, _, password = match[1].partition(":")
        meant = urllib.parse.unquote(password)
        pair = f"{urllib.parse.unquote(user)}:{meant}".encode()
        found += [password, meant, base64.b64encode(pair).decode()] if password else []
    return found


def environment_secrets(environ: Mapping[str, str]) -> list[str]:
    """Return what must not be shown of an environment: keys, and the password of any URL in it."""
    keys = [value for name in _SECRETS if (value := environ.get(name))]
    return keys + [found for value in environ.values() for found in url_passwords(value)]


def masked_text(text: str, secrets: Iterable[str]) -> str:
    """Return a text with `secrets` hidden, by the same rules."""
    return str(_hide(text, _forms(secrets)))


def _forms(secrets: Iterable[str]) -> list[str]:
    found: set[str] = set()
    for secret in secrets:
        for text in (secret, *secret.splitlines()):
            if len(text) >= _SHORTEST:
                found |= {text, json.dumps(text)[1:-1], repr(text)[1:-1]}
                found.add(json.dumps(text, ensure_ascii=False)[1:-1])
                found |= {urllib.parse.quote(text, safe=""), urllib.parse.quote_plus(text)}
    # The longest first, or the rest of a secret that starts with another one would stay.
    return sorted(found, key=lambda form: (-len(form), form))


def _hide(part: Any, hidden: list[str]) -> Any:
    """Return a text or an error with secrets hidden, and anything else as it is."""
    if isinstance(part, PipelineError):
        return type(part)(*(_hide(text, hidden) for text in (part.where, part.what, part.then)))
    if not isinstance(part, str):
        return part
    for form in hidden:
        part = part.replace(form, MASK)
    return _USER.sub(_hide_user, part) if "://" in part else part


def _hide_user(match: re.Match[str]) -> str:
    # A name alone is one, as in ssh://git@host; to a web server it is a token.
    is_web = match.string[: match.start() - 3].lower().endswith(("http", "https"))
    return f"{MASK}@" if ":" in match[1] or is_web else match[0]
