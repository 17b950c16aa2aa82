"""What an error answer tells people: the words of its body, and a hint for its status."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

from ..core.masking import MASK

_LONGEST = 2000
_MOST_MARKUP = 16_000  # characters of markup, of which scripts and styles are a part
# Octopus's ErrorMessage and Errors, in either casing; what other servers and gateways use.
_KEYS = ("errormessage", "errors", "details", "title", "detail", "message", "error")
_MARKUP = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^<>]*>", re.DOTALL | re.IGNORECASE)
_HINTS = {
    HTTPStatus.UNAUTHORIZED: "Look at the API key: the server does not know it.",
    HTTPStatus.FORBIDDEN: "Look at the API key, and at what its user is allowed to do.",
    HTTPStatus.NOT_FOUND: "Look at the URL, and at the space.",
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: "Put user and password into HTTPS_PROXY.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Raise the server's or the proxy's limit for uploads.",
    HTTPStatus.TOO_MANY_REQUESTS: "Wait, then try again: the server limits requests.",
}


def body_words(body: bytes, secrets: Iterable[str] = ()) -> str:
    """Return the words of a body: a JSON document's messages, the text in markup, or all of it.

    Secrets in them are hidden, also one that the end of a long text would be cut through.
    """
    text = body.decode("utf-8", "replace").strip()
    try:
        messages = list(dict.fromkeys(_messages(json.loads(text))))
    except (ValueError, RecursionError):
        messages = []
    if messages:
        text = "\n".join(messages)
    elif text.startswith("<"):
        text = " ".join(_MARKUP.sub(" ", text[:_MOST_MARKUP]).split())
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def hint(status: int, location: str = "") -> str:
    """Return what to do about an error status; `location` is where a redirect points."""
    if location:
        return f"The server points to {location}: use that address."
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "The server failed: look at its own log, then try again."
    return next((text for code, text in _HINTS.items() if code == status), "")


def _messages(document: Any) -> Iterator[str]:
    if isinstance(document, str):
        yield document
    elif isinstance(document, list):
        for item in document:
            yield from _messages(item)
    elif isinstance(document, dict):
        lowered = {str(key).lower(): value for key, value in document.items()}
        for key in _KEYS:
            value = lowered.get(key)
            # Details and Errors may be keyed by field.
            if isinstance(value, dict):
                value = [str(item) for item in value.values()]
            yield from (text for text in _messages(value) if text)
