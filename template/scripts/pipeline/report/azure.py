"""Azure Pipelines: groups, issues, the build's number, test results and artifacts.

Logging commands escape `%` as `%AZP25`, CR and LF, in properties `;` and `]` as well.
"""

from __future__ import annotations

from ..core.events import Artifact, BuildNumber, Event, Failed, TestResults, Warned
from ..core.foreign import harmless
from .grouped import Style

_DATA = str.maketrans({"%": "%AZP25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _DATA | str.maketrans({";": "%3B", "]": "%5D"})


def command(name: str, data: str = "", **properties: str) -> str:
    """Return a logging command."""
    pairs = ";".join(f"{key}={value.translate(_PROPERTY)}" for key, value in properties.items())
    return f"##vso[{name}{' ' if pairs else ''}{pairs}]{data.translate(_DATA)}"


def _messages(event: Event) -> list[str] | None:
    if isinstance(event, Warned):
        return [command("task.logissue", harmless(event.text), type="warning")]
    if isinstance(event, Failed) and not event.stage:
        return [command("task.logissue", harmless(str(event.error)), type="error")]
    if isinstance(event, BuildNumber):
        return [command("build.updatebuildnumber", harmless(event.text))]
    if isinstance(event, Artifact):
        place = {"containerfolder": "package", "artifactname": "package"}
        return [command("artifact.upload", event.path, **place)]
    if isinstance(event, TestResults):
        return [command("results.publish", type="JUnit", resultFiles=event.path)]
    return None


AZURE = Style("##[group]{}".format, lambda: "##[endgroup]", _messages)
