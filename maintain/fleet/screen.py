"""A survey on a terminal: a table that fits into 80 columns, then what is wrong and where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.core.foreign import harmless
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .status import Survey

COLOURS = {
    "broken": "bold red", "conflicted": "red", "changed": "yellow", "silent": "magenta",
    "behind": "cyan", "current": "green",
}  # fmt: skip
SOON = 180  # days before a runtime's end from which it is coloured
_UNKNOWN = "?"


def show(survey: Survey, console: Console) -> None:
    """Print a survey."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("repository", min_width=8, overflow="fold", ratio=1)
    for name in ("state", "release"):
        table.add_column(name, no_wrap=True)
    for name in ("heard of", "update", "runtime"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("live", no_wrap=True, overflow="ellipsis", max_width=12)
    for one in survey.repositories:
        table.add_row(
            Text(harmless(one.name)),
            Text(one.state, COLOURS[one.state]),
            Text(harmless(one.release) or _UNKNOWN),
            age(one.sign_of_life),
            age(max((request["days"] for request in one.requests), default=None), "-"),
            _runtime(one.runtime),
            Text(harmless(live(one.deployed))),
        )
    console.print(table, highlight=False)
    wrong = [one for one in survey.repositories if one.state != "current"]
    if wrong:
        console.print()
    for one in wrong:
        line = Text.assemble((harmless(one.name), COLOURS[one.state]), f"  {harmless(one.why)}")
        console.print(line, highlight=False, soft_wrap=True)
    for what, names in unknown(survey).items():
        some = "of all" if len(names) == len(survey.repositories) else f"of {len(names)}"
        console.print(Text(f"unknown {some}: {harmless(what)}", "dim"), soft_wrap=True)
    if survey.left_out:
        left = how_many(len(survey.left_out))
        console.print(Text(f"{left} of no template left out", "dim"))
    console.print()
    console.print(summary(survey), highlight=False, soft_wrap=True)


def summary(survey: Survey) -> Text:
    """Return the counts in one line."""
    parts = [
        (f"{count} {state}", COLOURS[state]) for state, count in survey.counts.items() if count
    ]
    text = Text(f"{how_many(len(survey.repositories))}: ")
    text.append_text(Text(", ").join(Text(*part) for part in parts))
    return text.append(f"; the newest release is {survey.newest or 'none'}")


def unknown(survey: Survey) -> dict[str, list[str]]:
    """Return the names of the repositories of which the same is unknown, by what that is."""
    found: dict[str, list[str]] = {}
    for one in survey.repositories:
        for what in one.unknown:
            found.setdefault(what, []).append(one.name)
    return found


def age(days: int | None, none: str = _UNKNOWN) -> str:
    """Return days as people say them."""
    if days is None:
        return none
    return f"{days} d" if days < 100 else f"{days // 30} mo" if days < 700 else f"{days // 365} y"  # noqa: PLR2004


def live(deployed: Mapping[str, str] | None) -> str:
    """Return the deployed version: production's, or else what stands first."""
    if not deployed:
        return _UNKNOWN if deployed is None else "-"
    return deployed.get("production") or next(iter(deployed.values()))


def _runtime(runtime: Mapping[str, Any]) -> Text:
    days = runtime.get("days")
    if days is None:
        return Text(_UNKNOWN)
    short = runtime["name"].replace("python", "py").replace("nodejs", "node").removesuffix(".x")
    left = "ended" if days <= 0 else age(days)
    return Text(f"{short} {left}", "red" if days <= 0 else "yellow" if days <= SOON else "")


def how_many(number: int) -> str:
    """Return a number of repositories in words."""
    return "1 repository" if number == 1 else f"{number} repositories"
