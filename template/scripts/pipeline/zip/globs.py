r"""Which files a `<file>` element of a nuspec takes, and what they are called in the package.

The rules are those of the NuGet clients, the surprising ones included, because the same nuspec
must give the same package there. Observed with NuGet 2.8.7 on mono, read in NuGet.Client:

- `*` is any run of characters without a slash, and may end with one slash; `**` is anything;
  the slash after `**` belongs to it, so `**/b.txt` takes `ab.txt` too; `?` is one character.
- Matching ignores case, except in the fixed folder before the first `*`, which is opened as
  written. Only a `*` makes a wildcard: without one a missing file is an error, also with `?`.
- Without `**` and without a `*` in a folder name only the fixed folder itself is searched.
- `folder/` is everything below it. `**` and `folder/` keep the path below the fixed folder, a
  plain wildcard keeps the file name only. A literal `src` whose extension equals that of
  `target` is renamed to it.
- `exclude` holds patterns with `;` between them; those that start with `**` match anywhere.

Clients drop some files silently, each release others: names that start with a dot, files in
such folders, `*.nupkg`, and always `*.nuspec` (Octopus drops these as well). Taking one of them
is an error here, so that no client ever packs less than was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..core.errors import PipelineError
from .member_names import first_clash, name_problem

_WILDCARD = re.compile(r"\*\*/|\*\*|\*|\?")
_TRANSLATED = {"**/": ".*", "**": ".*", "*": "[^/]*/?", "?": "."}
# Where no NuGet client reads along: `**/` is whole folders, `*` and `?` stay within one name.
_PLAIN = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


@dataclass(frozen=True)
class FileEntry:
    """One `<file>` element: `src` relative to the repository root, either kind of slash.

    `place` is the file and line that it is in, for errors.
    """

    src: str
    target: str = ""
    exclude: str = ""
    place: str = field(default="", compare=False)

    @property
    def where(self) -> str:
        """The element as errors name it."""
        return f'{self.place} <file src="{self.src}">'.lstrip()


def select(files: Sequence[str], entry: FileEntry) -> list[tuple[str, str]]:
    """Return the (source, target) pairs that `entry` takes from `files`, in the order of `files`.

    `files` are paths relative to the repository root with forward slashes. Raises PipelineError
    for a literal file or a folder that is missing, for a pattern outside the repository, and for
    a file that clients would drop silently.
    """
    pattern = _normalised(entry)
    if pattern.endswith("/"):
        pattern += "**/*"
    fixed = pattern[: pattern.find("*")] if "*" in pattern else pattern
    folder = fixed[: fixed.rfind("/") + 1]
    matches = _matcher(pattern, folder)
    excluded = [_exclusion(item) for item in entry.exclude.split(";") if item]
    taken = [path for path in files if matches(path) and not any(skips(path) for skips in excluded)]
    if not taken:
        _explain_nothing(files, entry, folder, literal="*" not in pattern)
    for path in taken:
        if dropped_by_clients(path):
            what = f"it takes {path}, which NuGet clients leave out silently"
            then = f'Rename the file, or leave it out yourself with exclude="{path}".'
            raise PipelineError(entry.where, what, then)
    return [(path, _target(path, pattern, folder, entry)) for path in taken]


def select_all(files: Sequence[str], entries: Sequence[FileEntry]) -> list[tuple[str, str]]:
    """Return the (source, target) pairs of all entries, sorted by target.

    Raises PipelineError where `select` does, and when two files get the same target.
    """
    pairs = [(pair, entry) for entry in entries for pair in select(files, entry)]
    clash = first_clash(target for (_, target), _ in pairs)
    if clash:
        origins = [
            f"{source} from {entry.where}" for (source, target), entry in pairs if target in clash
        ]
        what = f"the target {clash[1]} is taken twice: by {' and by '.join(origins)}"
        then = "Change one of the targets, or leave the file out with `exclude`."
        raise PipelineError("nuspec <files>", what, then)
    return sorted((pair for pair, _ in pairs), key=lambda pair: pair[1])


def dropped_by_clients(path: str) -> bool:
    """Whether some NuGet client leaves the file out when packing, whatever the nuspec says."""
    return path.lower().endswith((".nuspec", ".nupkg")) or any(
        part.startswith(".") for part in path.split("/")
    )


def path_matcher(pattern: str) -> Callable[[str], bool]:
    """Return what tells whether a path with forward slashes is one that `pattern` means.

    A pattern of our own settings: `**/` is any folders or none, `folder/` all that is below it,
    and case counts.
    """
    regex = re.compile(_regex(pattern + "**" if pattern.endswith("/") else pattern, _PLAIN))
    return lambda path: regex.fullmatch(path) is not None


def _normalised(entry: FileEntry) -> str:
    pattern = entry.src.replace("\\", "/")
    while pattern.startswith("./"):
        pattern = pattern[2:].lstrip("/")
    where = entry.where
    then = "Write a path relative to the repository root, such as `docs/**/*.md`."
    if pattern in {"", "/", "."}:
        raise PipelineError(where, "it names no file", then)
    if pattern.startswith("/") or re.match(r"[A-Za-z]:", pattern):
        raise PipelineError(where, "the path is absolute", then)
    if any(part in {".", "..", ""} for part in pattern.removesuffix("/").split("/")):
        raise PipelineError(where, "the path has an empty, `.` or `..` folder", then)
    if ".**" in pattern:
        what = "NuGet clients disagree on `.**`"
        raise PipelineError(where, what, "Write `.*` or `*.*`, or name the files.")
    return pattern


def _regex(pattern: str, translated: Mapping[str, str]) -> str:
    parts: list[str] = []
    end = 0
    for found in _WILDCARD.finditer(pattern):
        parts += [re.escape(pattern[end : found.start()]), translated[found.group()]]
        end = found.end()
    return "".join([*parts, re.escape(pattern[end:])])


def _matcher(pattern: str, folder: str) -> Callable[[str], bool]:
    regex = re.compile(_regex(pattern, _TRANSLATED), re.IGNORECASE)
    deep = "**" in pattern or "*" in pattern[: pattern.rfind("/") + 1]
    return lambda path: (
        path.startswith(folder)
        and (deep or "/" not in path[len(folder) :])
        and regex.fullmatch(path) is not None
    )


def _exclusion(item: str) -> Callable[[str], bool]:
    pattern = item.replace("\\", "/")
    regex = re.compile(_regex(pattern, _TRANSLATED), re.IGNORECASE)
    # A floating pattern is tried on a rooted path: `**/x` and `**/a/*` have a slash to find.
    root = "/" if pattern.startswith("**") else ""
    return lambda path: regex.fullmatch(root + path) is not None


def _explain_nothing(files: Sequence[str], entry: FileEntry, folder: str, *, literal: bool) -> None:
    where = entry.where
    if folder and not any(path.startswith(folder) for path in files):
        alike = next((path for path in files if path.lower().startswith(folder.lower())), None)
        if alike is None:
            then = "Correct the path; it is relative to the repository root."
        else:
            then = f"The folder is spelled {alike[: len(folder)]}; folder names keep their case."
        raise PipelineError(where, f"there is no file below {folder}", then)
    if literal:
        what = "there is no such file"
        raise PipelineError(where, what, "Correct the path, or the `exclude` that removes it.")


def _target(path: str, pattern: str, folder: str, entry: FileEntry) -> str:
    target = entry.target.replace("\\", "/")
    deep, literal = "**" in pattern, "*" not in pattern
    # A target that ends with a slash is a folder here; clients would write a part named `lib/`.
    renamed = literal and target.rpartition("/")[2] and _extension(pattern) == _extension(target)
    name = path[len(folder) :] if deep else path.rpartition("/")[2]
    inside = f"{target.removesuffix('/')}/{name}" if target else name
    name = target if renamed else inside
    problem = name_problem(name)
    if problem:
        what = f'target="{entry.target}" is not a place in a package: {problem}'
        then = "Write a folder or file name without a leading slash and without dots for parts."
        raise PipelineError(entry.where, what, then)
    return name


def _extension(path: str) -> str:
    name = path.rpartition("/")[2]
    dot = name.rfind(".")
    return name[dot:].lower() if 0 <= dot < len(name) - 1 else ""
