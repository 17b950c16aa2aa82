"""The lines for an Octopus worker: plain ones, and service messages around and between them.

A message is one line of standard output, `##octopus[name attribute='...']`, with every value as
base64 of its UTF-8. A category message changes how Octopus shows the lines after it.
"""

from __future__ import annotations

import base64
from pathlib import PurePath

from ..core import events
from ..core.events import Event
from ..core.foreign import harmless
from ..core.text import event_text

_PERCENT = 100


def message(name: str, /, **attributes: str) -> str:
    """Return a service message as a line."""
    pairs = [f" {key}='{_encoded(value)}'" for key, value in attributes.items()]
    return f"##octopus[{name}{''.join(pairs)}]"


def octopus_lines(event: Event) -> list[str]:
    """Return an event's messages and its text, in the category that fits.

    They must not go to standard error: that fails steps.
    """
    lines = _messages(event)
    text = harmless(event.text) if isinstance(event, events.BuildNumber) else event_text(event)
    if text is None:
        return lines
    category = _category(event)
    if category == "default":
        return [*lines, text]
    return [*lines, message(f"stdout-{category}"), text, message("stdout-default")]


def _category(event: Event) -> str:
    if isinstance(event, events.Warned):
        return "warning"
    if isinstance(event, (events.Achieved, events.BuildNumber)):
        return "highlight"
    if isinstance(event, (events.Progressed, events.Output, events.Artifact)):
        return "verbose"
    return "verbose" if isinstance(event, events.Line) and event.verbose else "default"


def _messages(event: Event) -> list[str]:
    if isinstance(event, events.Output):
        return [message("setVariable", name=event.name, value=event.value)]
    if isinstance(event, events.Artifact):
        name = PurePath(event.path).name
        return [message("createArtifact", path=event.path, name=name, length=str(event.size))]
    if isinstance(event, events.Progressed) and event.total:
        percent = str(min(_PERCENT, event.done * _PERCENT // event.total))
        return [message("progress", percentage=percent, message=event.text)]
    if isinstance(event, events.Failed) and not event.stage:
        return [message("resultMessage", message=str(event.error))]
    return []


def _encoded(value: str) -> str:
    return base64.b64encode(value.encode("utf-8", "replace")).decode("ascii")
