"""The lines for TeamCity: service messages between the plain ones.

Escaping as TeamCity's service message format demands: `|` before `'`, `|`, `[`, `]`, `n` and
`r` for line ends, `0x` and four hex digits for everything beyond ASCII.
"""

from __future__ import annotations

from ..core import events
from ..core.events import Event
from ..core.foreign import harmless
from ..core.text import plain_lines

_ESCAPES = str.maketrans({"'": "|'", "|": "||", "[": "|[", "]": "|]", "\n": "|n", "\r": "|r"})
_PROBLEM_LIMIT = 4000  # characters of a build problem's description


def escaped(value: str) -> str:
    """Return a value as it stands inside a service message."""
    return "".join(c if c.isascii() else _units(c) for c in value.translate(_ESCAPES))


def message(name: str, /, *values: str, **attributes: str) -> str:
    """Return a service message with one value, or with named attributes."""
    if values:
        return f"##teamcity[{name} '{escaped(values[0])}']"
    pairs = "".join(f" {key}='{escaped(value)}'" for key, value in attributes.items())
    return f"##teamcity[{name}{pairs}]"


def teamcity_lines(event: Event, *, verbose: bool) -> list[str]:
    """Return an event's service messages and its lines."""
    lines = plain_lines(event, verbose=verbose)
    if isinstance(event, events.Started):
        stage = harmless(event.stage)
        return [message("blockOpened", name=stage), message("progressMessage", stage)]
    if isinstance(event, (events.Finished, events.Failed)) and event.stage:
        return [*lines, message("blockClosed", name=harmless(event.stage))]
    if isinstance(event, events.Failed):
        problem = harmless(str(event.error))[:_PROBLEM_LIMIT]
        return [*lines, message("buildProblem", description=problem)]
    if isinstance(event, events.Warned):
        return [message("message", text=harmless(event.text), status="WARNING")]
    if isinstance(event, events.Achieved):
        # TeamCity puts its own text where the braces are.
        return [
            *lines,
            message("buildStatus", text=f"{{build.status.text}}; {harmless(event.text)}"),
        ]
    if isinstance(event, events.BuildNumber):
        return [message("buildNumber", harmless(event.text))]
    if isinstance(event, events.Artifact):
        return [message("publishArtifacts", event.path)]
    if isinstance(event, events.TestResults):
        return [message("importData", type="junit", path=event.path)]
    return lines


def _units(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"|0x{units[at]:02X}{units[at + 1]:02X}" for at in range(0, len(units), 2))
