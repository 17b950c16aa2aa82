"""`env.list`: environments in the settings, in Octopus and in CloudFormation, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ..core.errors import PipelineError
from ..core.names import resource_name
from ..core.text import aligned
from ..deploy.plan_screen import row
from ..edge.machine import Machine
from ..octopus.client import Octopus
from ..octopus.environments import OctopusEnvironment, all_environments, moment
from ..project.project import LOCAL_ENVIRONMENT, Environment, Project
from ..stack.change_set import ENVIRONMENT, SERVICE
from ..stack.listing import FoundFunction, FoundStack, find_function, service_stacks
from ..stack.removal import Removal, audit
from .which_function import Place, place_of

_DELETE_FAILED = "DELETE_FAILED"
_WELL = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")
_DAY, _HOUR, _MINUTE = 86400, 3600, 60


@dataclass(frozen=True)
class Known:
    """What a service knows of an environment: `declared` in the settings, in Octopus, its stack.

    `place` is where the stack is, or belongs. `left` has a text for each thing in AWS that still
    carries the name of an environment without a stack. Neither that nor the function is known where
    `is_read` is false.
    """

    name: str
    service: str
    declared: Environment | None = None
    octopus: OctopusEnvironment | None = None
    machines: tuple[str, ...] = ()
    stack: FoundStack | None = None
    place: Place | None = None
    function: FoundFunction | None = None
    left: tuple[str, ...] = ()
    is_read: bool = True

    @property
    def is_permanent(self) -> bool:
        """Tell whether it is declared so, or its stack was made so when it was."""
        is_declared = self.declared and self.declared.permanent
        return bool(is_declared or (self.stack and self.stack.protected))

    @property
    def made(self) -> OctopusEnvironment | None:
        """Its place in Octopus, where `env.create` made it for the service."""
        return self.octopus if self.octopus and self.octopus.owner == self.service else None

    @property
    def is_ours(self) -> bool:
        """Tell whether `env.create` made it, or its stack, for the service."""
        return bool(self.made or (self.stack and self.stack.service == self.service))

    @property
    def expires(self) -> datetime | None:
        """The later end, where Octopus and the stack's tag have another one."""
        ends = (self.octopus and self.octopus.expires, self.stack and moment(self.stack.expires))
        return max((end for end in ends if end), default=None)

    @property
    def warned(self) -> datetime | None:
        """When `env.reap` warned of its end; a later end takes that back."""
        notes = (self.made and self.made.warned, self.function and moment(self.function.warned))
        when = max((note for note in notes if note), default=None)
        return None if when and self.expires and self.expires > when else when


@dataclass(frozen=True)
class Survey:
    """What was found at `now` for a service; `unread` has a line for each place that is not known.

    `octopus` is None where Octopus was not read, `has_places` false where an AWS was not. Where
    `is_deployed_by_octopus`, each of its temporary environments has a place there.
    """

    service: str
    now: datetime
    environments: tuple[Known, ...]
    octopus: Octopus | None
    has_places: bool
    is_deployed_by_octopus: bool
    unread: tuple[str, ...] = field(default=())

    def over(self, one: Known) -> str:
        """Return why an environment of the service is over, in words; "" where it is not."""
        if one.is_permanent or not one.is_ours:
            return ""
        if one.stack and one.stack.status == _DELETE_FAILED:
            return f"its removal failed: {one.stack.reason}".removesuffix(": ")
        if one.expires and one.expires <= self.now:
            return f"it expired {_age(self.now - one.expires)} ago"
        is_known = self.octopus and self.is_deployed_by_octopus
        if one.stack and is_known and not (one.octopus or one.declared):
            return "its stack has no environment in Octopus any more"
        return ""

    def goes_at_once(self, one: Known) -> bool:
        """Tell whether a warning was given, or there is nothing that could carry or need one."""
        if one.stack and one.stack.status == _DELETE_FAILED:
            return True
        return bool(one.warned or (one.is_read and not (one.made or one.function)))

    def notes(self, one: Known) -> Iterator[tuple[str, str]]:
        """Give what stands out: a label and a text for each."""
        if why := self.over(one):
            when = "at its next run" if self.goes_at_once(one) else "after a warning"
            yield "over", f"{why}; env.reap removes it {when}"
        elif one.expires and one.expires <= self.now:
            owner = one.octopus.owner if one.octopus else ""
            whose = f"{owner} has it" if owner else "it is permanent"
            yield "over", f"it expired {_age(self.now - one.expires)} ago; {whose}"
        if one.made and not (one.stack or one.declared) and self.has_places:
            yield "no stack", "it is in Octopus alone"
        if one.stack and not one.stack.status.endswith(_WELL):
            yield "stack is", f"{one.stack.status} {one.stack.reason}".rstrip()
        yield from (("left", text) for text in one.left)

    def lines(self) -> list[str]:
        """Return the table: a line for each environment, and below it what stands out."""
        heads: list[tuple[str, ...]] = [("environment", "release", "age", "end")]
        heads += [self._head(one) for one in self.environments]
        first, *tops = aligned(heads)
        lines = [first] if tops else []
        for top, one in zip(tops, self.environments, strict=True):
            lines += [top, *(line for note in self.notes(one) for line in row(*note))]
        return lines

    def document(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "environments": [self._document(one) for one in self.environments],
            "unread": list(self.unread),
        }

    def _head(self, one: Known) -> tuple[str, ...]:
        release = (one.function.release or "none of ours") if one.function else "-"
        age = _age(self.now - one.stack.created) if one.stack else "-"
        end = f"{one.expires:%Y-%m-%d %H:%M} UTC" if one.expires else ""
        owner = one.octopus.owner if one.octopus else ""
        other = f"for {owner}" if owner and owner != self.service else ""
        return one.name, release, age, "permanent" if one.is_permanent else end or other

    def _document(self, one: Known) -> dict[str, Any]:
        stack = asdict(one.stack) if one.stack else None
        return {
            "name": one.name,
            "permanent": one.is_permanent,
            "declared": bool(one.declared),
            "in_octopus": bool(one.octopus) if self.octopus else None,
            "owner": one.octopus.owner if one.octopus else stack["service"] if stack else "",
            "machines": list(one.machines),
            "stack": stack and {**stack, "created": stack["created"].isoformat()},
            "release": one.function.release if one.function else "",
            "commit": one.function.commit if one.function else "",
            "expires": one.expires.isoformat() if one.expires else "",
            "warned": one.warned.isoformat() if one.warned else "",
            "over": self.over(one),
            "notes": [text for _, text in self.notes(one)],
        }


def survey(
    project: Project, machine: Machine, reach: Octopus | PipelineError | None, *, local: bool
) -> Survey:
    """Look at every place that the settings name; what cannot be read is told, and no error.

    `reach` is Octopus, why it is not reached, or None where it is none of this. With `local` only
    the embedded AWS is looked at.
    """
    unread: list[str] = []

    @contextmanager
    def read(what: str = "") -> Iterator[None]:
        try:
            yield
        except PipelineError as error:
            text = f"{what or error.where}: {error.what}"
            unread.append(f"not read: {' '.join(text.split())}")

    octopus, there, machines = None, [], []
    with read():
        if isinstance(reach, PipelineError):
            raise reach
        if reach:
            there, machines = all_environments(reach), list(reach.all("machines"))
            octopus = reach
    declared = [project.environment(LOCAL_ENVIRONMENT)] if local else [*project.environments]
    declared = [one for one in declared if local or not one.is_local]
    places: dict[tuple[str, ...], Place] = {}
    found: dict[str, tuple[FoundStack, Place]] = {}
    wanted = {one.way: one for one in reversed(declared)}
    for key, environment in wanted.items():
        with read(f"AWS of {environment.name}"):
            place = place_of(project, environment.name, machine)
            for stack in service_stacks(
                place.stacks, "env.list", project.package_id, _names(project, declared)
            ):
                found[f"{stack.account} {stack.region} {stack.name}"] = (stack, place)
            places[key] = place
    has_places = len(places) == len(wanted)

    def own_name(known: Known) -> str:
        return resource_name(known.name, project.function.name)

    def one_of(known: Known) -> Known:
        if known.stack and known.place:
            functions = known.place.connection.functions
            return replace(known, function=find_function(functions, known.stack.name))
        if known.declared:
            own = places.get(known.declared.way)
            function = find_function(own.connection.functions, own_name(known)) if own else None
            return replace(known, place=own, function=function)
        if not known.made:
            return known
        name = own_name(known)
        tags = {SERVICE: project.package_id, ENVIRONMENT: known.name}
        left = [
            text
            for place in places.values()
            for text in audit(Removal(name, place.clients, place.stacks, tags=tags))
        ]
        return replace(known, left=tuple(left))

    environments = []
    for known in _merged(project.package_id, declared, there, [*found.values()]):
        is_in = known.octopus.id if known.octopus else None
        mine = [one.text("Name") for one in machines if is_in in one.texts("EnvironmentIds")]
        known_of = replace(known, machines=tuple(mine), is_read=False)
        with read(known.name):
            known_of = replace(one_of(known_of), is_read=True)
        environments.append(known_of)
    return Survey(
        project.package_id,
        machine.now(),
        tuple(environments),
        octopus,
        has_places,
        bool(project.octopus.project),
        tuple(unread),
    )


def _merged(
    service: str,
    declared: Sequence[Environment],
    there: Sequence[OctopusEnvironment],
    found: Sequence[tuple[FoundStack, Place]],
) -> Iterator[Known]:
    """Give each environment once for each of its stacks, those of the settings first."""
    settings = {one.name.casefold(): one for one in declared}
    octopus = {one.name.casefold(): one for one in there}
    spelt = {stack.environment.casefold(): stack.environment for stack, _ in found}
    spelt |= {key: one.name for key, one in octopus.items()}
    spelt |= {key: one.name for key, one in settings.items()}
    for key in [*settings, *sorted(spelt.keys() - settings.keys())]:
        known = Known(spelt[key], service, settings.get(key), octopus.get(key))
        mine = [pair for pair in found if pair[0].environment.casefold() == key]
        yield from [replace(known, stack=stack, place=place) for stack, place in mine] or [known]


def _names(project: Project, declared: Sequence[Environment]) -> Mapping[str, str]:
    """Return the environments that may have a stack from before there were tags, by its name."""
    return {f"{one.name}-{project.function.name}": one.name for one in declared}


def _age(span: timedelta) -> str:
    seconds = span.total_seconds()
    unit, size = next(
        ((unit, size) for unit, size in (("d", _DAY), ("h", _HOUR)) if seconds >= size),
        ("m", _MINUTE),
    )
    return f"{max(0, seconds) // size:.0f}{unit}"
