"""A plan as data without a secret, and that data as one screen.

The data is what a dry run gives to programs, and what a saved plan is. A plan follows from what was
read: one that is made again and has the same data in what BOUND names does the same.
"""

from __future__ import annotations

import hashlib
import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from ..core.errors import Conflict, PipelineError
from ..core.names import ALIAS, release_in
from ..core.strict_json import parse_json
from ..core.text import STAGE_WIDTH
from .contents import Contents
from .observe import Alias, Observed, differences
from .plan import Plan
from .releases import Release, releases
from .unpacked import Unpacked
from .worker import WorkerContext

SCHEMA = 1
# What a saved plan is held against. The rest is there to be read: it follows from this, or changes
# nothing that a deploy does, like the files of an earlier package.
BOUND = (
    "schema",
    "environment",
    "package",
    "release",
    "function",
    "alias",
    "environment_values",
    "steps",
)
_WIDTH = 80
_LONGEST = 120
# Hashes are shown by their beginning: whole ones are in the data.
_HASH = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{28,52}\b|([0-9A-Za-z+/]{12})[0-9A-Za-z+/]{31}=")
_MOST = 4
_HASH_ROUNDS = 100_000


def as_data(
    plan: Plan,
    versions: Iterable[Observed],
    package: Unpacked,
    context: WorkerContext,
) -> dict[str, Any]:
    """Return a plan as JSON has it; `versions` are the published ones.

    The environment's values are one hash, all together: none of them can be guessed by itself.
    """
    manifest, observed, alias = package.manifest, plan.observed, plan.alias
    known = {one.version: one for one in versions}
    made_by_us = releases(known.values())
    serving = known.get(alias.version, observed) if alias else observed
    last = made_by_us[0] if made_by_us else None
    release = release_in(serving.description)[0]
    contents = Contents.between(package.folder, manifest, release, context.packages)
    return {
        "schema": SCHEMA,
        "environment": package.declared(context.environment),
        "package": {
            "id": manifest.package_id,
            "version": manifest.version,
            "commit": manifest.source.commit or "",
            "CodeSha256": manifest.function_zip.code_sha256,
            "sha256": package.sha256,
        },
        "release": context.release,
        "function": _settings(observed),
        "alias": _alias(alias),
        "environment_values": _hash_of_values(plan, package),
        "steps": [
            {"name": step.name, "changes": [asdict(change) for change in step.changes]}
            for step in plan.steps
        ],
        "live": _served(serving, alias),
        "last_release": _served(last.function, None) if last else None,
        "drift": [*_drift(observed, last), *_moved_by_hand(alias, serving, last)],
        # Names of alarms that are red already.
        "alarms": [],
        "contents": asdict(contents) if contents else None,
    }


def refuse_moved(saved: str, now: Mapping[str, Any], where: str) -> None:
    """Raise Conflict unless the plan `saved`, as JSON, is the one that is made `now`."""
    then = (
        "Nothing was changed. Save a new plan with `--plan FILE`, look at it, and deploy that one."
    )
    try:
        plan = parse_json(saved.encode(), "the saved plan")
    except PipelineError as error:
        raise PipelineError(where, f"{error.where}: {error.what}", then) from error
    if not isinstance(plan, dict) or plan.get("schema") != SCHEMA:
        what = "the saved plan is none of this version of the pipeline"
        raise PipelineError(where, what, then)
    was, is_now = (dict(_leaves({key: one.get(key) for key in BOUND})) for one in (plan, now))
    moved = [name for name in {**was, **is_now} if was.get(name) != is_now.get(name)]
    if not moved:
        return
    # What is to be done follows from what it was planned on, and a revision only says that
    # something is another: they are told where nothing else is.
    causes = [name for name in moved if name.split()[0] != "steps"] or [
        name for name in moved if name.endswith(" name")
    ]
    causes = [name for name in causes if not name.endswith("RevisionId")] or causes or moved
    changes = [_change(name, was.get(name), is_now.get(name)) for name in causes]
    lines = "\n".join(changes).splitlines()
    what = "something has moved since the plan was saved.\n  " + "\n  ".join(lines)
    raise Conflict(where, what, then)


def as_lines(data: Mapping[str, Any]) -> list[str]:
    """Return the screen: what is live, what is not as we left it, and what would change."""
    return [line for label, text in _rows(data) for line in _row(label, text)]


def _rows(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    live, last = data["live"], data["last_release"]
    yield "live", _release(live)
    yield "", f"CodeSha256 {live['CodeSha256']}"
    if live["note"]:
        yield "", live["note"]
    if last and last["version"] != live["version"]:
        yield "last", _release(last)
    label = "drift"
    for one in data["drift"]:
        yield label, _change(one["what"], one["was"], one["now"])
        label = ""
    if data["drift"]:
        begun = release_in(data["function"]["Description"])[0]
        by = (
            "not by a deploy"
            if begun in ("", last["release"])
            else f"by a deploy of {begun} that did not finish"
        )
        yield "", f"(since {last['release']}, {by})"
    for name in data["alarms"]:
        yield "alarm", name
    for step in data["steps"]:
        label = step["name"]
        for one in step["changes"]:
            what = one["what"].removeprefix(f"{step['name']} ")
            yield label, _change(what, one["now"], one["planned"])
            label = ""
    if contents := data["contents"]:
        yield from _contents(contents)


def _row(label: str, text: str) -> list[str]:
    head = f"  {label:<{STAGE_WIDTH}} "
    lines = []
    for line in text.splitlines():
        lines += textwrap.wrap(
            line,
            _WIDTH,
            initial_indent=head,
            subsequent_indent=" " * len(head),
            break_long_words=False,
            break_on_hyphens=False,
        )
        head = " " * len(head)
    return lines


def _change(what: str, was: object, now: object) -> str:
    """Return a change as a line, or as two where one is too long."""
    old, new = _short(was), _short(now)
    start, colon, rest = old.partition(": ")
    if colon and new.endswith(f"{colon}{rest}"):
        # A description after the release that it names.
        old, new = start, new.removesuffix(f"{colon}{rest}")
    line = f"{what}: {old} -> {new}"
    fits = len(line) <= _WIDTH - STAGE_WIDTH - len("   ")
    return line if fits else f"{what}: {old}\n  -> {new}"


def _short(value: object) -> str:
    text = "(none)" if value in (None, "") else str(value)
    text = _HASH.sub(r"\1\2...", text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _release(one: Mapping[str, str]) -> str:
    release = f"{one['release']} ({one['commit']})" if one["release"] else "no release of ours"
    version = one["version"] if one["version"] == "$LATEST" else f"version {one['version']}"
    return f"{release}, {version}\nsince {one['since'][:16].replace('T', ' ')} UTC"


def _contents(contents: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    changed = contents["files"]
    counts = ", ".join(f"{len(names)} {how}" for how, names in changed.items() if names)
    names = [name for group in changed.values() for name in group]
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    yield "files", f"{counts}: {', '.join(names[:_MOST])}{more}" if names else "the same"
    label = "libraries"
    for name, (was, now) in contents["libraries"].items():
        yield label, _change(name, was, now)
        label = ""


def _settings(observed: Observed) -> dict[str, Any]:
    """Return all that a plan is made on but values of the environment, by AWS's names."""
    return {
        "arn": observed.arn,
        "RevisionId": observed.revision_id,
        "Runtime": observed.runtime,
        "Handler": observed.handler,
        "Description": observed.description,
        "Architectures": observed.architecture,
        "CodeSha256": observed.code_sha256,
        **observed.rest,
        "environment": dict.fromkeys(sorted(observed.environment), "(set)"),
        "tags": None if observed.tags is None else dict(observed.tags),
    }


def _alias(alias: Alias | None) -> dict[str, Any] | None:
    if alias is None:
        return None
    return {
        "version": alias.version,
        "weights": dict(alias.weights),
        "RevisionId": alias.revision_id,
    }


def _served(function: Observed, alias: Alias | None) -> dict[str, str]:
    release, commit = release_in(function.description)
    note = alias.description if alias and alias.description != function.description else ""
    return {
        "release": release,
        "commit": commit,
        "version": function.version,
        "CodeSha256": function.code_sha256,
        "since": function.modified,
        "note": note,
    }


def _hash_of_values(plan: Plan, package: Unpacked) -> str:
    values = json.dumps([plan.observed.environment, plan.wanted.environment], sort_keys=True)
    # With a salt of its own for each release, and slow: nobody has tables for it, or makes one.
    salt = f"{plan.observed.arn} {package.manifest.version}".encode()
    return hashlib.pbkdf2_hmac("sha256", values.encode(), salt, _HASH_ROUNDS).hex()


def _drift(latest: Observed, last: Release | None) -> Iterator[dict[str, str]]:
    """Yield what the function has otherwise than our last release, which published it."""
    for what, was, now in differences(last.function, latest) if last else ():
        yield {"what": what, "was": was, "now": now}


def _moved_by_hand(
    alias: Alias | None, serving: Observed, last: Release | None
) -> Iterator[dict[str, str]]:
    """Yield the alias where neither a deploy nor a rollback of ours let it point where it does."""
    if alias is None or last is None or alias.description == serving.description:
        return
    if alias.version != last.function.version and not alias.description.startswith("rollback "):
        yield {"what": ALIAS, "was": f"version {last.number}", "now": str(alias)}


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a document, each named by the keys that lead to it."""
    if not isinstance(value, (dict, list)) or not value:
        yield name, value or None
        return
    for key, one in value.items() if isinstance(value, dict) else enumerate(value, 1):
        yield from _leaves(one, f"{name} {key}".strip())
