"""A plan's data as one screen of 80 columns."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from ..core.names import release_in, version_name
from ..core.text import STAGE_WIDTH, few

_WIDTH = 80
_LONGEST = 120
_MOST = 4  # names of files
# Hashes are shown by their beginning: whole ones are in the data.
_HASH = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{28,52}\b|([0-9A-Za-z+/]{12})[0-9A-Za-z+/]{31}=")


def as_lines(data: Mapping[str, Any]) -> list[str]:
    """Return the screen: what is live, what is not as we left it, and what would change."""
    return [line for label, text in _rows(data) for line in row(label, text)]


def change_text(what: str, was: object, now: object) -> str:
    """Return a change as a line, or as two where one is too long."""
    old, new = _short(was), _short(now)
    start, colon, rest = old.partition(": ")
    if colon and new.endswith(f"{colon}{rest}"):
        # A description after the release that it names.
        old, new = start, new.removesuffix(f"{colon}{rest}")
    line = f"{what}: {old} -> {new}"
    fits = len(line) <= _WIDTH - STAGE_WIDTH - len("   ")
    return line if fits else f"{what}: {old}\n  -> {new}"


def _rows(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    live, last = data["live"], data["last_release"]
    yield "live", _release(live)
    if live["CodeSha256"]:
        yield "", f"CodeSha256 {live['CodeSha256']}"
    if live["note"]:
        yield "", live["note"]
    if last and last["version"] != live["version"]:
        yield "last", _release(last)
    label = "drift"
    for one in data["drift"]:
        yield label, change_text(one["what"], one["was"], one["now"])
        label = ""
    if data["drift"]:
        begun = release_in(data["function"]["Description"])[0]
        is_ours = begun not in ("", last["release"])
        by = f"by a deploy of {begun} that did not finish" if is_ours else "not by a deploy"
        yield "", f"(since {last['release']}, {by})"
    for name in data["alarms"]:
        yield "alarm", name
    for step in data["steps"]:
        label = step["name"]
        for one in step["changes"]:
            what = one["what"].removeprefix(f"{step['name']} ")
            yield label, change_text(what, one["now"], one["planned"])
            label = ""
    if contents := data["contents"]:
        yield from _contents(contents)


def row(label: str, text: str) -> Iterator[str]:
    """Give a text as lines of the screen, with a label in front of the first."""
    head = f"  {label:<{STAGE_WIDTH}} "
    wrap = partial(textwrap.wrap, break_long_words=False, break_on_hyphens=False)
    for line in text.splitlines():
        rest = " " * len(head)
        yield from wrap(line, _WIDTH, initial_indent=head, subsequent_indent=rest)
        head = rest


def _short(value: object) -> str:
    text = "(none)" if value in (None, "") else str(value)
    text = _HASH.sub(r"\1\2...", text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _release(one: Mapping[str, str]) -> str:
    release = f"{one['release']} ({one['commit']})" if one["release"] else "no release of ours"
    by = f" by {one['by']}" if one["by"] else ""
    since = f"\nsince {one['since'][:16].replace('T', ' ')} UTC{by}" if one["since"] else ""
    return f"{release}, {version_name(one['version'])}{since}"


def _contents(contents: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    changed = contents["files"]
    counts = ", ".join(f"{len(names)} {how}" for how, names in changed.items() if names)
    names = [name for group in changed.values() for name in group]
    yield "files", f"{counts}: {few(names, _MOST)}" if names else "the same"
    label = "libraries"
    for name, (was, now) in contents["libraries"].items():
        yield label, change_text(name, was, now)
        label = ""
