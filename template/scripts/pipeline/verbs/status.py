"""`status`: which release an environment serves, since when, and what is not as it should be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..core.names import release_in
from ..deploy.observe import Alias, Observed, differences, observe, read_alias
from ..deploy.traffic import LATEST, canary_in, decide, moment
from ..deploy.triggers import off_the_alias
from .which_function import Place


@dataclass(frozen=True)
class Status:
    """What an environment serves. `release` and `commit` are empty where it is no release of ours.

    `function_version` is Lambda's, empty without an alias; `drift` has a sentence for each thing
    that is not as the last release and the stack have it.
    """

    environment: str
    function: str
    release: str
    commit: str
    function_version: str
    code_sha256: str
    modified: str
    alias: str
    note: str
    drift: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return what people read: a line for the release, and one for each drift."""
        what = self.release or "no release of ours"
        alias = f"live: {self.alias}" if self.alias else "no alias live"
        first = f"{self.environment:<12}{what:<24}{self.commit:<14}{alias}"
        rest = [f"{self.function}, CodeSha256 {self.code_sha256}, changed {self.modified[:19]}"]
        if self.note:
            rest.append(self.note)
        return [first, *(f"{'':<12}{line}" for line in (*rest, *self.drift))]


def status(place: Place) -> Status:
    """Look at an environment. Raises PipelineError where the function cannot be read."""
    functions, name = place.connection.functions, place.function
    latest, alias = observe(functions, name), read_alias(functions, name)
    serving = latest
    if alias and alias.version != LATEST:
        serving = observe(functions, name, alias.version)
    release, commit = release_in(serving.description)
    note = alias.description if alias and alias.description != serving.description else ""
    return Status(
        environment=place.environment.name,
        function=name,
        release=release,
        commit=commit,
        function_version=alias.version if alias else "",
        code_sha256=serving.code_sha256,
        modified=serving.modified,
        alias=str(alias) if alias else "",
        note=note,
        drift=(*_canary(alias, place.environment.name), *_drift(functions, latest, serving, alias)),
    )


def _canary(alias: Alias | None, environment: str) -> Iterator[str]:
    if alias and alias.weights:
        tried, since = canary_in(alias)
        what = f"a canary of {tried} since {moment(since)}" if since else "weights not of ours"
        yield f"{what}: {alias}. {decide(environment)}"


def _drift(
    functions: Any, latest: Observed, serving: Observed, alias: Alias | None
) -> Iterator[str]:
    if alias is None:
        yield "there is no alias live: what calls the function meets each step of a deploy"
        return
    if serving is latest:
        yield "nothing was published yet: live is $LATEST, which a deploy moves"
    elif not release_in(serving.description)[0]:
        yield f"live is version {serving.version}, which is no release of ours"
    # What a deploy owns may be newer there, after a rollback.
    stack = [
        f"{what} {was} -> {now}"
        for what, was, now in differences(serving, latest)
        if what in {*serving.rest, *latest.rest}
    ]
    if stack:
        yield f"a stack change is not live yet: {', '.join(stack)}"
    if found := off_the_alias(functions, latest):
        yield f"not on the alias live: {', '.join(found)}"
