"""Sizes as people read them, and rows that fit a screen whatever a package claims to be called."""

from __future__ import annotations

from collections.abc import Iterable

_WIDTH = 80
_NAME = 12
_LONGEST = 240


def readable(text: str) -> str:
    """Return a text from a package on one line, without what could steer a terminal."""
    shown = "".join(char if char.isprintable() else " " for char in text[: 4 * _LONGEST])
    shown = " ".join(shown.split())
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 3]}..."


def row(name: str, text: str) -> str:
    """Return one line, cut at the screen's width unless it is one word."""
    shown = readable(text)
    room = _WIDTH - _NAME - 2
    if len(shown) > room and " " in shown:
        shown = f"{shown[: room - 3].rstrip()}..."
    return f"  {name:<{_NAME}}{shown}".rstrip()


def rows(name: str, parts: Iterable[str], *, gap: int = 1, most: int = 3) -> list[str]:
    """Return lines of parts, never broken inside one; after `most` lines the rest is dropped."""
    lines: list[str] = []
    for part in parts:
        joined = lines[-1] + " " * gap + part if lines else part
        if lines and len(joined) <= _WIDTH - _NAME - 2:
            lines[-1] = joined
        else:
            lines.append(joined if not lines else part)
    if len(lines) > most:
        lines = [*lines[: most - 1], f"{lines[most - 1][: _WIDTH - _NAME - 6]} ..."]
    names = [name] + [""] * len(lines)
    return [f"  {label:<{_NAME}}{line}".rstrip() for label, line in zip(names, lines, strict=False)]
