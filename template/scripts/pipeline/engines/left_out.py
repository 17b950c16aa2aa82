"""What stays out of a function zip by setting: the SDK that the runtime brings, packages' tests.

Worked out from an installed folder while each distribution's RECORD and METADATA are still there.
"""

from __future__ import annotations

import ast
import importlib.metadata
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from ..archive.names import folders_of
from .lock import normal

__all__ = ["SDK", "files_of_tests", "needed", "sdk_files"]

# boto3 and what it is made of, as in Lambda's Python runtimes.
SDK = ("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3")
# A distribution, and the extras of it that somebody asks for.
_Wanted = tuple[str, frozenset[str]]
_TEST_FOLDERS = ("test", "tests")
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?([^;]*)(?:;(.*))?")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")
_MENTIONS_TESTS = re.compile(rb"\btests?\b")
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+\Z")


def sdk_files(folder: Path, requirements: Sequence[str]) -> frozenset[str]:
    """Return the files of the SDK's distributions that nothing else in `folder` needs.

    `requirements` are the project's own. What they name besides boto3, botocore and s3transfer
    stays, as does everything that a distribution which stays requires.
    """
    installed = {
        normal(found.metadata["Name"]): found
        for found in importlib.metadata.distributions(path=[str(folder)])
    }
    requires = {name: tuple(found.requires or ()) for name, found in installed.items()}
    keep = needed(requires, requirements)
    return frozenset(
        file.as_posix()
        for name in SDK
        if name in installed and name not in keep
        for file in installed[name].files or ()
    )


def needed(requires: Mapping[str, Sequence[str]], direct: Iterable[str]) -> frozenset[str]:
    """Return the distributions that stay: all but the SDK, and what those require.

    `requires` holds each installed distribution's `Requires-Dist`. Markers other than an extra
    are taken as true, so that rather too much stays than too little.
    """
    asked = [wanted for line in direct if (wanted := _wanted(line, frozenset()))]
    roots: list[_Wanted] = [(name, frozenset()) for name in requires if name not in SDK]
    roots += [want for want in asked if want[0] not in ("boto3", "botocore", "s3transfer")]
    seen: set[_Wanted] = set()
    while roots:
        name, extras = roots.pop()
        if (name, extras) not in seen:
            seen.add((name, extras))
            lines = requires.get(name, ())
            roots += [found for line in lines if (found := _wanted(line, extras))]
    return frozenset(name for name, _ in seen)


def files_of_tests(folder: Path, names: Collection[str]) -> frozenset[str]:
    """Return the files in `tests` and `test` folders of packages that no other module imports.

    Such a folder lies inside a package (beside an `__init__.py`, never at the top) and counts as
    imported when a module outside of all of them imports it, or names it in a text by itself.
    Data that is opened by its path is not seen. `names` are the files in `folder`.
    """
    everything = frozenset(names)
    folders = {found for name in names if (found := _test_folder(name, everything))}
    inside = {name for name in names if not folders.isdisjoint(folders_of(name))}
    used = {
        module
        for name in everything - inside
        if name.endswith(".py")
        for module in _mentioned(folder / name, PurePosixPath(name))
    }
    idle = {
        found
        for found in folders
        if not any(
            module == (dotted := found.replace("/", ".")) or module.startswith(f"{dotted}.")
            for module in used
        )
    }
    return frozenset(name for name in inside if not idle.isdisjoint(folders_of(name)))


def _wanted(line: str, extras: frozenset[str]) -> _Wanted | None:
    """Read a requirement; None when it belongs to an extra that nobody asked for."""
    match = _REQUIREMENT.match(line)
    if not match:
        return None
    if (extra := _EXTRA.search(match[4] or "")) and normal(extra[1]) not in extras:
        return None
    asked = (normal(item.strip()) for item in (match[2] or "").split(",") if item.strip())
    return normal(match[1]), frozenset(asked)


def _test_folder(name: str, everything: Collection[str]) -> str:
    """Return the outermost test folder inside a package that a file lies in, or an empty text."""
    for folder in folders_of(name):
        parent, _, part = folder.rpartition("/")
        if part in _TEST_FOLDERS and f"{parent}/__init__.py" in everything:
            return folder
    return ""


def _mentioned(path: Path, name: PurePosixPath) -> Iterable[str]:
    """Return the dotted names a module imports, or holds as a text, with `test` or `tests` in."""
    source = path.read_bytes()
    if not _MENTIONS_TESTS.search(source):
        return
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        # It cannot be imported either.
        return
    package = name.parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            base = ".".join((*above, *((node.module,) if node.module else ())))
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and _is_dotted(node.value):
            yield str(node.value)


def _is_dotted(value: object) -> bool:
    return isinstance(value, str) and _DOTTED.match(value) is not None
