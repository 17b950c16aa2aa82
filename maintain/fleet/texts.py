"""What the fleet writes to a repository's people: a request's text, and an issue's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from .hosts import marked
from .updating import BRANCH, Updated

_MOST = 60_000  # characters; GitHub takes 65,536
_SHOWN = 40  # names in a list
# What a changed file has to do with the package, where nothing was built.
_CAUSES = (
    (
        r"scripts/(deploy\.py|pipeline/(__init__\.py|core/|deploy/))",
        "the deploy half, which it holds",
    ),
    (r"scripts/requirements-build\.txt", "the AWS client, which it holds, and the build's tools"),
    (r"src/|requirements/|package(-lock)?\.json", "the function, its dependencies and the nuspec"),
    (r"scripts/pipeline/(function|package|zip)/", "how the function and the package are made"),
)
_LOOK = (
    "- Look at this branch's build: it is the proof. Merge when it is green, or close this: the "
    "next release asks again."
)
_YOURS = "- A commit of yours on this branch stays: the fleet then leaves the branch alone."
_SOLVE = (
    "Keep what is right between the markers, `git add` those files, build, and commit. Close this "
    "when the default branch has the release."
)


def title(old: str, new: str) -> str:
    """Return a request's title."""
    return f"Update the template from {old} to {new}"


def conflict_title(new: str) -> str:
    """Return an issue's title."""
    return f"The template's update to {new} conflicts"


def request_text(
    one: Updated, base: str, release: str, package: Mapping[str, Sequence[str]] | None, issue: int
) -> str:
    """Return a request's text. `base` is the commit below, `package` a build's differences.

    `issue` is the number of the open one that merging this closes, 0 without one.
    """
    head = ["## What to do", _LOOK, _YOURS]
    if one.replaced:
        head.append(
            "- These are the template's, and were edited or missing here. They are the template's "
            f"again; `git show {base[:10]}:./NAME` has what was there. What you need of it belongs "
            "in a hook, or in the template:"
        )
        head += _listed(one.replaced)
    if one.saved:
        head.append(
            "- The release has no such file any more, and they were edited here; "
            f"`git show {base[:10]}:./NAME` has them:"
        )
        head += _listed(one.saved)
    if one.patch:
        head.append(
            "- Some of what is new is in files that are yours, which an update never changes. The "
            "patch at the end has it: save it, and `git apply --3way` it where you want it."
        )
    if issue:
        head.append(f"\nCloses #{issue}.")
    rest = [*_packaged(one, package), *_changes(one)]
    if one.patch:
        rest += ["## What is new in files that are yours", _fenced(one.patch, "diff")]
    return marked(_short("\n".join([*head, "", "\n\n".join(rest)])), release, base)


def issue_text(one: Updated, owner: str, old: str, base: str, release: str) -> str:
    """Return an issue's text: what conflicts with the commit `base`, what to do, the preview.

    `owner` is told of it where it is somebody's name at the host.
    """
    lines = [
        f"The update of the template from {old} to {release} conflicts with what is here:",
        *_listed(one.conflicts),
        "",
        f"So there is no branch to merge.{f' This is for {owner}.' if owner else ''}",
        "",
        "## What to do",
        "In a clean work tree:",
        _fenced(f"python3 tasks.py update --to {release}\n", "sh"),
        _SOLVE,
        "",
        *_changes(one),
        "",
        "## Preview",
        _fenced(one.preview, "diff"),
    ]
    return marked(_short("\n".join(lines)), release, base)


def _changes(one: Updated) -> list[str]:
    """Return the changelog, its headings one level below the text's own."""
    below = re.sub(r"^(#+ )", r"#\1", one.changes, flags=re.MULTILINE)
    return ["## What the template says of it", below] if below else []


def _packaged(one: Updated, package: Mapping[str, Sequence[str]] | None) -> Iterator[str]:
    yield "## What changes in the package"
    if package is None:
        found: dict[str, list[str]] = {}
        for name in one.changed:
            for pattern, cause in _CAUSES:
                if re.match(pattern, name):
                    found.setdefault(cause, []).append(name)
                    break
        package = found
        how = "By the files that change; nothing was built for this text."
    else:
        how = "By two builds, of the commit below and of this one."
    if not package:
        yield f"Nothing. {how}"
        return
    yield how
    yield "\n".join(
        f"- {cause}: {', '.join(map(_code, names[:4]))}"
        f"{f' and {len(names) - 4} more' if names[4:] else ''}"
        for cause, names in package.items()
    )


def _listed(names: Sequence[str]) -> list[str]:
    more = [f"  - and {len(names) - _SHOWN} more"] if names[_SHOWN:] else []
    return [*(f"  - {_code(name)}" for name in names[:_SHOWN]), *more]


def _code(name: str) -> str:
    """Return a file's name as it is, whatever it has in it: people and issues are not called."""
    fence = "`" * (max(map(len, re.findall(r"`+", name)), default=0) + 1)
    pad = " " if "`" in name else ""
    return f"{fence}{pad}{' '.join(name.splitlines())}{pad}{fence}"


def _fenced(text: str, language: str) -> str:
    """Return a block of code; its fence is longer than any in it."""
    longest = max(map(len, re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _short(text: str) -> str:
    """Return a text that a host takes; what is cut is said, and a block of code is closed."""
    if len(text) <= _MOST:
        return text
    kept = text[:_MOST].rpartition("\n")[0]
    fence = ""
    for line in re.findall(r"^(`{3,})\w*$", kept, re.MULTILINE):
        fence = "" if line == fence else fence or line
    where = f"The rest is too long for here: look at {BRANCH}, or run `update --preview`."
    return f"{kept}\n{fence}\n\n{where}"
