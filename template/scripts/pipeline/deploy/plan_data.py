"""A plan as data, with no secret in it: what `--json` gives, and what a saved plan is.

A plan follows from what was read: one that is made again and has the same data in what `_BOUND`
names does the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from ..core.errors import Conflict, PipelineError
from ..core.names import ALIAS, release_in
from ..core.strict_json import parse_json
from .contents import Contents
from .observe import Alias, Observed, differences
from .plan import Plan
from .plan_screen import change_text
from .releases import ROLLED_BACK, TOOK_BACK, Move, Release, releases
from .traffic import CANARY
from .unpacked import Unpacked
from .worker import WorkerContext

_SCHEMA = 1
# What a saved plan is held against. The rest is there to be read: it follows from this, or changes
# nothing that a deploy does, like the files of an earlier package.
_BOUND = (
    "schema", "environment", "package", "release", "function", "alias", "environment_values",
    "steps",
)  # fmt: skip
_HASH_ROUNDS = 100_000


def as_data(
    plan: Plan, versions: Iterable[Observed], package: Unpacked, context: WorkerContext,
    red: Iterable[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """Return a plan as JSON has it; `versions` are the published ones, `red` alarms that are red.

    The environment's values are one hash, all together: none of them can be guessed by itself.
    """
    manifest, observed, alias = package.manifest, plan.observed, plan.alias
    known = {one.version: one for one in versions}
    made_by_us = releases(known.values())
    serving = observed
    if alias and alias.version != observed.version:
        # One whose environment cannot be read is not among the known ones.
        unknown = replace(observed, version=alias.version, description="", code_sha256="")
        serving = known.get(alias.version, replace(unknown, modified=""))
    last = made_by_us[0] if made_by_us else None
    release = release_in(serving.description)[0]
    is_kept = context.dry_run or context.saved_plan
    contents = Contents.between(package.folder, manifest, release, context.packages)
    return {
        "schema": _SCHEMA,
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
        "alias": alias
        and {
            "version": alias.version,
            "weights": dict(alias.weights),
            "RevisionId": alias.revision_id,
        },
        "environment_values": _hash_of_values(plan, package) if is_kept else "",
        "steps": [
            {"name": step.name, "changes": [asdict(change) for change in step.changes]}
            for step in plan.steps
        ],
        "live": _served(serving, alias),
        "last_release": _served(last.function, None) if last else None,
        "drift": [
            dict(zip(("what", "was", "now"), one, strict=True))
            for one in _drift(observed, alias, serving, last)
        ],
        "alarms": [*red],
        "contents": asdict(contents) if contents else None,
    }


def as_json(data: Mapping[str, Any]) -> str:
    """Return a plan as JSON in which Octopus finds no variable to fill, like a secret one."""
    return json.dumps(data, indent=2).replace("#{", "#\\u007b")


def refuse_moved(saved: str, now: Mapping[str, Any], where: str) -> None:
    """Raise Conflict unless the plan `saved`, as JSON, is the one that is made `now`."""
    then = "Nothing was changed. Save a new plan with `--plan FILE`, read it, and deploy that one."
    try:
        plan = parse_json(saved.encode(), "the saved plan")
    except PipelineError as error:
        raise PipelineError(where, f"{error.where}: {error.what}", then) from error
    if not isinstance(plan, dict) or plan.get("schema") != _SCHEMA:
        what = "the saved plan is none of this version of the pipeline"
        raise PipelineError(where, what, then)
    was, is_now = (dict(_leaves({key: one.get(key) for key in _BOUND})) for one in (plan, now))
    moved = [name for name in {**was, **is_now} if was.get(name) != is_now.get(name)]
    if not moved:
        return
    # What is to be done follows from what it was planned on, and a revision only says that
    # something is another: they are told where nothing else is. The hash of the values is salted
    # with the package's version.
    steps = [name for name in moved if name.startswith("steps ")]
    causes = [name for name in moved if name not in steps]
    causes = causes or [name for name in steps if name.endswith(" name")] or steps
    told = ("RevisionId", "environment_values") if "package version" in moved else "RevisionId"
    causes = [name for name in causes if not name.endswith(told)] or causes
    changes = [change_text(name, was.get(name), is_now.get(name)) for name in causes]
    lines = "\n".join(changes).splitlines()
    what = "something has moved since the plan was saved.\n  " + "\n  ".join(lines)
    raise Conflict(where, what, then)


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


def _served(function: Observed, alias: Alias | None) -> dict[str, str]:
    release, commit = release_in(function.description)
    description = alias.description if alias else ""
    move = Move.read(description)
    return {
        "release": release,
        "commit": commit,
        "version": function.version,
        "CodeSha256": function.code_sha256,
        "since": move.when or function.modified,
        "by": move.who,
        # Of a rollback, of a canary, of somebody else's doing.
        "note": "" if release_in(description)[0] else description,
    }


def _hash_of_values(plan: Plan, package: Unpacked) -> str:
    values = json.dumps([plan.observed.environment, plan.wanted.environment], sort_keys=True)
    # With a salt of its own for each release, and slow: nobody has tables for it, or makes one.
    salt = f"{plan.observed.arn} {package.manifest.version}".encode()
    return hashlib.pbkdf2_hmac("sha256", values.encode(), salt, _HASH_ROUNDS).hex()


def _drift(
    latest: Observed, alias: Alias | None, serving: Observed, last: Release | None
) -> Iterator[tuple[str, str, str]]:
    """Yield what is otherwise than our last release left it: what, then and now."""
    if last is None:
        return
    yield from differences(last.function, latest)
    if alias is None or alias.version == last.function.version:
        return
    release = release_in(serving.description)
    is_release = release[0] and release_in(alias.description) == release
    if not is_release and not alias.description.startswith((ROLLED_BACK, CANARY, TOOK_BACK)):
        yield ALIAS, f"version {last.number}", str(alias)


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a document, each named by the keys that lead to it."""
    if not isinstance(value, (dict, list)) or not value:
        yield name, value or None
        return
    for key, one in value.items() if isinstance(value, dict) else enumerate(value, 1):
        yield from _leaves(one, f"{name} {key}".strip())
