"""Which names a zip member may have, when writing and when reading alike."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# Deeper and longer than any name in a package that works: systems give up at 260 to 4,096 bytes,
# those of the folder around it included.
_LONGEST_NAME = 1_024
_LONGEST_PART = 255
_DEEPEST = 64
_DRIVE = re.compile(r"[A-Za-z]:")
# What nearly every name looks like. Thousands are checked a build, so these are let through
# at once; others take the checks one by one.
_PLAIN = re.compile(
    r"(?:[A-Za-z0-9_][A-Za-z0-9_.+-]{0,61}/){0,15}[A-Za-z0-9_][A-Za-z0-9_.+-]{0,61}"
)


def name_problem(name: str) -> str:
    """Say what is wrong with a file's name, or give "" when it is safe on every system."""
    if _PLAIN.fullmatch(name):
        return ""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "the name is not valid Unicode"
    parts = name.split("/")
    checks = (
        (not name, "the name is empty"),
        (name.startswith("/") or _DRIVE.match(name) is not None, "the name is absolute"),
        ("\\" in name, "the name holds a backslash"),
        (any(unicodedata.category(char) == "Cc" for char in name), "the name holds a control code"),
        (".." in parts, "the name leads out of its folder"),
        ("" in parts or "." in parts, "the name has an empty or `.` part"),
        (len(parts) > _DEEPEST, f"the name lies more than {_DEEPEST} folders deep"),
        (size > _LONGEST_NAME, f"the name is longer than {_LONGEST_NAME} bytes"),
        (
            any(len(part.encode()) > _LONGEST_PART for part in parts),
            f"a part of the name is longer than {_LONGEST_PART} bytes",
        ),
    )
    return next((problem for wrong, problem in checks if wrong), "")


def first_clash(names: Iterable[str]) -> tuple[str, str] | None:
    """Find two names that cannot both be files on every system.

    They are equal, differ only in case or Unicode form, or one is a folder of the other.
    """
    seen: dict[str, str] = {}
    for name in names:
        key = name.lower() if name.isascii() else unicodedata.normalize("NFC", name).lower()
        if key in seen:
            return seen[key], name
        seen[key] = name
    # Each folder is looked at once, however many files lie below it.
    folders: set[str] = set()
    for key, name in seen.items():
        folder, slash, _ = key.rpartition("/")
        while slash and folder not in folders:
            if folder in seen:
                return seen[folder], name
            folders.add(folder)
            folder, slash, _ = folder.rpartition("/")
    return None
