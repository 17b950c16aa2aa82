"""What a stand-in Octopus server remembers: its spaces, and tasks that run by a clock."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]


class Refusal(Exception):  # noqa: N818 - an answer, not an accident
    """An answer that is an error, in Octopus's shape.

    Fields as in go-octopusdeploy pkg/core/api_error.go; the clients there and in api-client.ts
    src/adapters/axiosAdapter.ts print ErrorMessage and each of Errors, which hold the reason.
    """

    def __init__(self, status: int, *errors: str, message: str = "") -> None:
        super().__init__(status, errors)
        self.status = status
        self.body = {
            "ErrorMessage": message or "There was a problem with your request.",
            "Errors": list(errors),
            "ParsedHelpLinks": [],
        }


@dataclass(frozen=True)
class Moment:
    """What happens `at` seconds after a task was queued.

    A `text` is logged by the activity at the end of the path `node`; `state` and `waits` (for a
    person) last until the next moment that sets them; `error` is the task's message. `pending` is
    what it waits for: an interruption's type, and else a precondition's.
    """

    at: float
    text: str = ""
    category: str = "Info"
    node: tuple[str, ...] = ()
    state: str = ""
    waits: bool | None = None
    pending: str = "ManualIntervention"
    error: str = ""
    percent: int | None = None


_STEP = ("Step 1: Deploy",)
DEPLOYED = (
    Moment(0.0, "Deploying", percent=0),
    Moment(0.01, state="Executing"),
    Moment(0.01, "unpacked", node=_STEP, percent=50),
    Moment(0.02, "updated", node=_STEP),
    Moment(0.03, state="Success", percent=100),
)
FAILED = (
    *DEPLOYED[:-1],
    Moment(0.03, "the handler is missing", "Error", _STEP, "Failed", error="Step 1 failed."),
)


@dataclass
class Task:
    """A server task; its fields are those of api-client.ts src/features/serverTasks/serverTask."""

    id: str
    space: str
    description: str
    started: float
    script: tuple[Moment, ...]
    cancelled: float | None = None

    def past(self, now: float) -> list[Moment]:
        """Return what has happened until `now`; a cancelled task does nothing more."""
        end = now if self.cancelled is None else min(now, self.cancelled)
        return [moment for moment in self.script if moment.at <= end - self.started]

    def state(self, now: float) -> str:
        """Return the state; spellings as in api-client.ts src/features/serverTasks/taskState.ts."""
        states = [moment.state for moment in self.past(now) if moment.state]
        if self.cancelled is not None and (not states or states[-1] not in _ENDS):
            return "Canceled"
        return states[-1] if states else "Queued"

    def document(self, now: float) -> Document:
        """Return the task resource."""
        past, state = self.past(now), self.state(now)
        waits = [moment for moment in past if moment.waits is not None]
        is_waiting = bool(waits and waits[-1].waits and state not in _ENDS)
        pending = [waits[-1].pending] if is_waiting else []
        interruptions = [kind for kind in pending if kind in _INTERRUPTIONS]
        preconditions = [kind for kind in pending if kind not in _INTERRUPTIONS]
        return {
            "Id": self.id,
            "SpaceId": self.space,
            "Name": "Deploy",
            "Description": self.description,
            "State": state,
            "IsCompleted": state in _ENDS,
            "FinishedSuccessfully": state == "Success",
            "HasPendingInterruptions": bool(interruptions),
            "PendingInterruptionTypes": interruptions,
            "HasPendingPreconditions": bool(preconditions),
            "PendingPreconditionTypes": preconditions,
            "HasWarningsOrErrors": any(m.category in ("Warning", "Error") for m in past),
            "ErrorMessage": next((m.error for m in reversed(past) if m.error), ""),
            "Arguments": {},
        }

    def details(self, now: float, tail: int) -> Document:
        """Return the task's log as a tree of activities.

        Shape as in api-client.ts src/features/serverTasks/serverTaskDetails.ts. `tail` cuts each
        activity's log; what is left out is marked by an entry of the category Gap.
        """
        past = self.past(now)
        root = self._node(self.id, self.description, (), past, tail)
        percent = next((m.percent for m in reversed(past) if m.percent is not None), 0)
        return {
            "Task": self.document(now),
            "Progress": {"ProgressPercentage": percent, "EstimatedTimeRemaining": ""},
            "PhysicalLogSize": sum(len(m.text) for m in past),
            "ActivityLogs": [root],
        }

    def raw(self, now: float) -> str:
        """Return the whole log as text."""
        return "".join(f"{m.category:<8} | {m.text}\n" for m in self.past(now) if m.text)

    def _node(
        self, path: str, name: str, node: tuple[str, ...], past: list[Moment], tail: int
    ) -> Document:
        own = [m for m in past if m.text and m.node == node]
        depth = len(node)
        below = [m.node for m in past if len(m.node) > depth and m.node[:depth] == node]
        names = dict.fromkeys(inner[depth] for inner in below)
        log = [
            {"Category": m.category, "OccurredAt": f"{m.at:.3f}", "MessageText": m.text}
            for m in own[-tail:]
        ]
        if len(own) > tail:
            left_out = {"Category": "Gap", "OccurredAt": "", "MessageText": ""}
            log.insert(0, left_out)
        return {
            "Id": path,
            "Name": name,
            "Status": "Running",
            "ShowAtSummaryLevel": True,
            "ProgressPercentage": 0,
            "ProgressMessage": "",
            "LogElements": log,
            "Children": [
                self._node(f"{path}/{index}", inner, (*node, inner), past, tail)
                for index, inner in enumerate(names)
            ],
        }


# Octopus's REST reference, tasks.md.
_INTERRUPTIONS = ("ManualIntervention", "GuidedFailure")
_ENDS = ("Success", "Failed", "Canceled", "TimedOut")


@dataclass
class Space:
    """One space's resources by their ids.

    `branches` has the processes of version-controlled projects, by project and branch;
    `process_templates` steps, by the name of the step that uses them.
    """

    id: str
    name: str
    default: bool
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    environments: dict[str, Document] = field(default_factory=dict)
    machines: dict[str, Document] = field(default_factory=dict)
    pools: dict[str, Document] = field(default_factory=dict)
    lifecycles: dict[str, Document] = field(default_factory=dict)
    projects: dict[str, Document] = field(default_factory=dict)
    channels: dict[str, Document] = field(default_factory=dict)
    processes: dict[str, Document] = field(default_factory=dict)
    branches: dict[tuple[str, str], str] = field(default_factory=dict)
    process_templates: dict[str, list[Document]] = field(default_factory=dict)
    releases: dict[str, Document] = field(default_factory=dict)
    deployments: dict[str, Document] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    packages: dict[str, Document] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    build_information: dict[str, Document] = field(default_factory=dict)

    def add(self, kind: str, document: Document) -> Document:
        """Keep a new resource under an id of its own, and return it."""
        resource = {"Id": f"{_PREFIX[kind]}-{next(self.ids)}", "SpaceId": self.id, **document}
        getattr(self, kind)[resource["Id"]] = resource
        return resource

    def named(self, kind: str, name: str) -> Document:
        """Return the resource with that id, slug or name (in any case), or refuse with 404."""
        for resource in getattr(self, kind).values():
            known = (resource["Id"], resource.get("Slug", ""), resource["Name"])
            if name and folded(name) in map(folded, known):
                return dict(resource)
        what = f"The resource '{name}' was not found."
        raise Refusal(404, message=what)


_PREFIX = {
    "environments": "Environments", "machines": "Machines", "pools": "WorkerPools",
    "lifecycles": "Lifecycles", "projects": "Projects", "channels": "Channels",
    "processes": "deploymentprocess", "releases": "Releases", "deployments": "Deployments",
    "build_information": "BuildInformation",
}  # fmt: skip


@dataclass
class State:
    """The server: `version` decides what it knows; `script` what the next deployments do.

    `script` is called with project, environment and release version.
    """

    seconds: Callable[[], float]
    version: str = "2026.3.1024"
    script: Callable[[str, str, str], tuple[Moment, ...]] = lambda *_: DEPLOYED
    spaces: dict[str, Space] = field(default_factory=dict)
    task_ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def number(self) -> tuple[int, ...]:
        """Return the version as numbers."""
        return tuple(int(part) for part in self.version.split("."))

    @property
    def has_executions(self) -> bool:
        """api-client.ts src/features/projects/releases/releaseRepository.ts asks for this one."""
        return self.number() >= (2022, 3, 5512)

    def default_space(self) -> Space:
        """Return the space that URLs without one mean."""
        return next(space for space in self.spaces.values() if space.default)

    def run(self, space: Space, description: str, script: tuple[Moment, ...]) -> Task:
        """Queue a task."""
        task = Task(
            f"ServerTasks-{next(self.task_ids)}", space.id, description, self.seconds(), script
        )
        space.tasks[task.id] = task
        return task


def folded(text: object) -> str:
    """Return a name as Octopus compares it."""
    return str(text).casefold()
