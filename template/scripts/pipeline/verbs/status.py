"""`status`: which release an environment serves, since when, and what is not as it should be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile

from ..core.errors import PipelineError
from ..core.events import Reporter
from ..core.manifest import MANIFEST_NAME, Manifest
from ..core.names import LATEST, release_in, version_name
from ..core.text import aligned, few
from ..deploy.observe import (
    Alias,
    Observed,
    differences,
    observe,
    published_versions,
    read_alias,
)
from ..deploy.plan_screen import row
from ..deploy.releases import Move, Release, moved, releases
from ..deploy.traffic import CANARY, canary_in, decide
from ..deploy.triggers import off_the_alias
from ..edge.http import Http
from ..edge.machine import Machine
from ..octopus.client import Access, connect
from ..octopus.releases import newest_releases
from ..project.project import Project
from .last_build import last_build
from .which_function import Place, caller


@dataclass(frozen=True)
class Elsewhere:
    """The releases that are not in AWS: the last build, and what Octopus has, the newest first.

    `code_sha256` is the hash of each build's code that is still here, by its version.
    """

    built: str = ""
    octopus: Sequence[str] = ()
    code_sha256: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Share:
    """A version that takes a part of the calls, from 0 to 1, and its release."""

    function_version: str
    release: str
    share: float

    def __str__(self) -> str:
        release = f" ({self.release})" if self.release else ""
        return f"{100 * self.share:g}% {version_name(self.function_version)}{release}"


@dataclass(frozen=True)
class Status:
    """What an environment serves. `release` and `commit` are empty where it is no release of ours.

    `function_version` is Lambda's, empty without an alias; `deployed` says when traffic came to it,
    by whom and why, as far as that is known. `traffic` has more than one part while a part of the
    calls goes elsewhere. `drift` has a sentence for each thing that is not as the last release and
    the stack have it, `waiting` one for each release that is not live.
    """

    environment: str
    function: str
    account: str
    region: str
    caller: str
    release: str
    commit: str
    function_version: str
    code_sha256: str
    deployed: str
    traffic: tuple[Share, ...]
    drift: tuple[str, ...]
    waiting: tuple[str, ...]

    @property
    def head(self) -> tuple[str, ...]:
        """The first line's columns."""
        version = self.function_version
        there = version_name(version) if version else "no alias live"
        return self.environment, self.release or "no release of ours", self.commit, there

    def rows(self) -> Iterator[tuple[str, str]]:
        """Give what is below it: a name and a text in each row."""
        account = f"account {self.account}{f', asked by {self.caller}' if self.caller else ''}"
        yield "function", f"{self.function}   {self.region}   {account}"
        yield "deployed", self.deployed
        yield "code", self.code_sha256
        if len(self.traffic) > 1:
            yield "traffic", ", ".join(map(str, self.traffic))
        yield from (("drift", text) for text in self.drift)
        yield from (("waiting", text) for text in self.waiting)


def status(place: Place, elsewhere: Elsewhere = Elsewhere()) -> Status:
    """Look at an environment. Raises PipelineError where the function cannot be read."""
    functions, name = place.connection.functions, place.function
    latest, alias = observe(functions, name), read_alias(functions, name)
    serving = latest
    if alias and alias.version != LATEST:
        serving = observe(functions, name, alias.version)
    release, commit = release_in(serving.description)
    known = releases(published_versions(functions, name))
    region, account = latest.arn.split(":")[3:5]
    return Status(
        environment=place.environment.name,
        function=name,
        account=account,
        region=region,
        caller=caller(place).rpartition(":")[2],
        release=release,
        commit=commit,
        function_version=alias.version if alias else "",
        code_sha256=serving.code_sha256,
        deployed=_deployed(serving, alias),
        traffic=tuple(_traffic(alias, known)),
        drift=(
            *_drift(place, latest, serving, alias),
            *(_changed(latest, serving, known) if alias else ()),
            *_other_code(serving, release, elsewhere),
        ),
        waiting=tuple(_waiting(alias, release, known, elsewhere)),
    )


def texts(found: Sequence[Status]) -> list[list[str]]:
    """Return what people read of each environment, in columns that are the same for all.

    A text has more than one line where it is long.
    """
    return [
        [top, *("\n".join(row(*pair)) for pair in one.rows())]
        for top, one in zip(aligned([one.head for one in found]), found, strict=True)
    ]


def elsewhere(project: Project, machine: Machine, access: Access, reporter: Reporter) -> Elsewhere:
    """Look for releases outside AWS: the last build here, and Octopus where it can be asked.

    An Octopus that does not answer is a warning: what AWS serves is told all the same.
    """
    latest = last_build(project.root)
    codes = {}
    for path in machine.output.glob(f"*/{MANIFEST_NAME}"):
        with suppress(PipelineError, OSError):
            manifest = Manifest.from_json(path.read_bytes(), where=str(path))
            codes[manifest.version] = manifest.function_zip.code_sha256
    found: list[str] = []
    if project.octopus.project and not access.missing:
        try:
            octopus = connect(Http(machine.environ), access, reporter.warn)
            found = newest_releases(octopus, project.octopus.project)
        except PipelineError as error:
            reporter.warn(f"releases in Octopus are not known: {error.where}: {error.what}")
    return Elsewhere(latest.version if latest else "", found, codes)


def _deployed(serving: Observed, alias: Alias | None) -> str:
    """Say when traffic came there, by whom and why; of others' doing their own words."""
    move = Move.read(alias.description if alias else "")
    if not move.when:
        words = alias.description if alias and not release_in(alias.description)[0] else ""
        words = "" if words.startswith(CANARY) else words  # told with the traffic
        return f"{serving.modified[:16].replace('T', ' ')} UTC{words and f': {words}'}"
    who = f"{move.when}{f' by {move.who}' if move.who else ''}"
    back = f", rolled back from {move.back_from}" if move.back_from else ""
    return f"{who}{back}{f': {move.why}' if move.why else ''}"


def _traffic(alias: Alias | None, known: Iterable[Release]) -> Iterator[Share]:
    names = {one.function.version: one.version for one in known}
    if alias:
        shares = {alias.version: 1 - sum(alias.weights.values()), **alias.weights}
        for version, share in shares.items():
            yield Share(version, names.get(version, ""), round(share, 4))


def _drift(place: Place, latest: Observed, serving: Observed, alias: Alias | None) -> Iterator[str]:
    if alias is None:
        yield "there is no alias live: what calls the function meets each step of a deploy"
        return
    if serving is latest:
        yield "nothing was published yet: live is $LATEST, which a deploy moves"
    elif not release_in(serving.description)[0]:
        yield f"live is version {serving.version}, which is no release of ours"
    if alias.weights:
        tried, since = canary_in(alias)
        what = f"a canary of {tried} since {moved(since)}" if since else "weights not of ours"
        yield f"{what}: {alias}. {decide(place.environment.name)}"
    if found := off_the_alias(place.connection.functions, latest):
        yield f"not on the alias live: {', '.join(found)}"


def _changed(latest: Observed, serving: Observed, known: Iterable[Release]) -> Iterator[str]:
    """Compare $LATEST with the release that it says it is; after a rollback live is another one."""
    release, _ = release_in(latest.description)
    found = (one.function for one in known if one.function.description == latest.description)
    made = next(found, None)
    if release and made is None:
        yield f"a deploy of {release} stopped before anything was published: deploy it again"
    elif made and (changed := _listed(made, latest, of_stack=False)):
        yield f"somebody changed $LATEST after {release} was published: {changed}"
    if changed := _listed(made or serving, latest, of_stack=True):
        yield f"a stack change is not live yet: {changed}"


def _listed(was: Observed, now: Observed, *, of_stack: bool) -> str:
    return ", ".join(
        f"{what} {first} -> {second}"
        for what, first, second in differences(was, now)
        if (what in {*was.rest, *now.rest}) is of_stack
    )


def _other_code(serving: Observed, release: str, known: Elsewhere) -> Iterator[str]:
    built = known.code_sha256.get(release, "")
    if built and built != serving.code_sha256:
        yield f"{release} was built here with CodeSha256 {built}, live is other code"


def _waiting(
    alias: Alias | None, release: str, known: Sequence[Release], where: Elsewhere
) -> Iterator[str]:
    """Say which releases are not live: published later, in Octopus, built here."""
    serving = alias.version if alias and alias.version != LATEST else "0"
    taken_back = Move.read(alias.description if alias else "").back_from
    there = {one.version for one in known} | {release}
    for version in dict.fromkeys(one.version for one in known if one.number > int(serving)):
        if version != release:
            how = "was taken back" if version == taken_back else "is published"
            yield f"{version} {how}"
    newer = list(takewhile(lambda version: version not in there, where.octopus))
    if newer:
        yield f"{few(newer)} {'is' if len(newer) == 1 else 'are'} in Octopus"
    if where.built and where.built not in {*there, *newer}:
        yield f"{where.built} was built here"
