"""Octopus projects: finding them, and which steps of their deployment processes use a package."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from ..core.errors import PipelineError, UsageError
from ..core.names import DEPLOY_SCRIPT
from .client import Document, Octopus

DEPLOY_A_PACKAGE = "Octopus.TentaclePackage"
_ROLES = "Octopus.Action.TargetRoles"
_SOURCE = "Octopus.Action.Script.ScriptSource"
_SCRIPT = "Octopus.Action.Script.ScriptFileName"
_RUNS_SCRIPTS = "Octopus.Action.Package.RunScripts"
_PROCESSES = "deploymentprocesses"
_ON_SERVER = "Octopus.Action.RunOnServer"


@dataclass(frozen=True)
class Choice:
    """The channel that releases are made in, and the git reference that processes are read at.

    Empty ones mean each project's own defaults.
    """

    channel: str = ""
    git_ref: str = ""


@dataclass(frozen=True)
class Process:
    """Where a project's deployment process is: its path, and the one that other views are below.

    `git_ref` is the reference it is read at; empty for a project that is not version-controlled.
    """

    path: str
    views: str
    git_ref: str

    @classmethod
    def of(cls, project: Document, git_ref: str = "") -> Process:
        """Return that of a project's resource; its default branch counts where none is named."""
        id_, settings = project.identity(), project.document("PersistenceSettings")
        if settings.text("Type") != "VersionControlled":
            stored, views = project.reference("DeploymentProcessId"), f"projects/{id_}/{_PROCESSES}"
            return cls(f"{_PROCESSES}/{stored}" if stored else views, views, "")
        git_ref = git_ref or settings.text("DefaultBranch")
        path = f"projects/{id_}/{quote(git_ref, safe='')}/{_PROCESSES}"
        return cls(path, path, git_ref)

    def steps(self, octopus: Octopus) -> list[Document] | None:
        """Return its steps, those of process templates among them; None where it is not there."""
        found = octopus.find(self.path)
        steps = found.documents("Steps") if found else []
        if any(step.text("Type") == "ProcessTemplateUsage" for step in steps):
            found = octopus.find(f"{self.views}/resolved")
        return found.documents("Steps") if found else None


@dataclass(frozen=True)
class OctopusProject:
    """A project: its id, name and slug, its lifecycle, its process, and the channel chosen."""

    id: str
    name: str
    slug: str
    lifecycle_id: str
    process: Process
    channel_id: str
    channel: str

    @classmethod
    def read(cls, octopus: Octopus, resource: Document, choice: Choice) -> OctopusProject:
        """Return the project of a resource. Raises PipelineError where it has no such channel."""
        id_, name = resource.identity(), resource.text("Name")
        channel = _channel(octopus, id_, name, choice.channel)
        return cls(
            id_,
            name,
            resource.text("Slug"),
            resource.reference("LifecycleId"),
            Process.of(resource, choice.git_ref),
            channel.identity(),
            channel.text("Name"),
        )


@dataclass(frozen=True)
class PackageStep:
    """A step that uses our package: what it runs, and for which machines.

    `project` is the name of its project. `deploys` tells whether it runs the package's deploy
    script, else `runs` says what it does instead. `environments` and `without` are the ids of the
    environments it is limited to and leaves out.
    """

    project: str
    name: str
    kind: str
    roles: tuple[str, ...]
    deploys: bool
    runs: str
    on_worker: bool
    environments: tuple[str, ...]
    without: tuple[str, ...]

    @property
    def unpacks_on_target(self) -> bool:
        """Tell whether it is "Deploy a package", which needs a machine with a disk."""
        return self.kind == DEPLOY_A_PACKAGE

    def runs_in(self, environment_id: str) -> bool:
        """Tell whether the step is for this environment."""
        limited = self.environments and environment_id not in self.environments
        return not limited and environment_id not in self.without


def find_projects(
    octopus: Octopus, names: Sequence[str], prefix: str, choice: Choice
) -> list[OctopusProject]:
    """Return the projects of these names, ids or slugs, in their order; at least one.

    Without names those whose own begin with `prefix`, in any case. Raises PipelineError that names
    all missing ones, UsageError for a git reference where no project is version-controlled.
    """
    there = sorted(octopus.all("projects"), key=lambda project: project.text("Name"))
    kinds = ("Id", "Slug", "Name")
    known = {project.text(kind).casefold(): project for kind in kinds for project in there}
    found, missing = split_names(names, known)
    chosen: Collection[Document] = {known[name].identity(): known[name] for name in found}.values()
    if not names:
        start = prefix.casefold()
        chosen = [one for one in there if one.text("Name").casefold().startswith(start)]
        missing = [] if chosen else [f"{prefix}..."]
    if missing:
        raise PipelineError(
            "Octopus projects",
            f"not found in space {octopus.space_name}: {', '.join(missing)}",
            "Correct --projects, --octopus-project-prefix, or project in pyproject.toml "
            "[tool.pipeline.octopus]; OCTOPUS_SPACE says in which space to look.",
        )
    projects = [OctopusProject.read(octopus, resource, choice) for resource in chosen]
    if choice.git_ref and not any(project.process.git_ref for project in projects):
        what = f"not version-controlled in Octopus: {', '.join(one.name for one in projects)}"
        raise UsageError("--git-ref", what, "Leave the flag out.")
    return projects


def _channel(octopus: Octopus, project_id: str, project: str, name: str) -> Document:
    channels = list(octopus.all(f"projects/{project_id}/channels"))
    for channel in channels:
        is_it = channel.text("Name").casefold() == name.casefold()
        if is_it if name else channel.flag("IsDefault"):
            return channel
    raise PipelineError(
        f"Octopus project {project}",
        f"it has no channel {name!r}" if name else "it has no default channel",
        f"It has {', '.join(channel.text('Name') for channel in channels) or 'none'}. "
        "Correct --channel.",
    )


def package_steps(octopus: Octopus, project: OctopusProject, package_id: str) -> list[PackageStep]:
    """Return the enabled steps of the deployment process that use the package.

    Only those of the project's chosen channel. Raises PipelineError where there is none: a release
    would then deploy nothing.
    """
    where, git_ref = f"Octopus project {project.name}", project.process.git_ref
    steps = project.process.steps(octopus)
    if steps is None:
        at = f" at {git_ref}" if git_ref else ""
        raise PipelineError(
            where,
            f"it has no deployment process{at} that can be read",
            "Correct --git-ref." if git_ref else "Look at the key's permissions in Octopus.",
        )
    found = [
        _step(project.name, step, action, package_id)
        for step in steps
        for action in step.documents("Actions")
        if _references(action, package_id) and not action.flag("IsDisabled")
        if project.channel_id in (action.texts("Channels") or [project.channel_id])
    ]
    if not found:
        raise PipelineError(
            where,
            f"no step of its deployment process uses the package {package_id}",
            f'Add a step "Run a script" with its script from this package, file {DEPLOY_SCRIPT}: '
            + octopus.link(f"projects/{project.slug}/deployments/process"),
        )
    return found


def steps_in(
    project: OctopusProject, steps: Sequence[PackageStep], environment_id: str, name: str
) -> list[PackageStep]:
    """Return a project's steps that run in an environment. Raises PipelineError for none."""
    found = [step for step in steps if step.runs_in(environment_id)]
    if not found:
        what = f"its steps that use the package are limited to other environments than {name}: "
        raise PipelineError(
            f"Octopus project {project.name}",
            what + ", ".join(repr(step.name) for step in steps),
            "Take these limits out of the deployment process.",
        )
    return found


def _references(action: Document, package_id: str) -> list[str]:
    """Return the names by which an action refers to the package; "" is its primary package."""
    return [
        package.text("Name")
        for package in action.documents("Packages")
        if package.text("PackageId").casefold() == package_id.casefold()
    ]


def _step(project: str, step: Document, action: Document, package_id: str) -> PackageStep:
    kind = action.text("ActionType")
    is_primary = "" in _references(action, package_id)
    from_package = is_primary and _property(action, _SOURCE) == "Package"
    script = _property(action, _SCRIPT).removeprefix("./")
    unpacks = kind == DEPLOY_A_PACKAGE and _property(action, _RUNS_SCRIPTS).casefold() != "false"
    return PackageStep(
        project=project,
        name=action.text("Name") or step.text("Name"),
        kind=kind,
        roles=tuple(role.strip() for role in _property(step, _ROLES).split(",") if role.strip()),
        deploys=unpacks or (from_package and script == DEPLOY_SCRIPT),
        runs=f"runs {script!r}" if from_package else "has its script elsewhere",
        on_worker=_property(action, _ON_SERVER).casefold() == "true",
        environments=tuple(action.texts("Environments")),
        without=tuple(action.texts("ExcludedEnvironments")),
    )


def _property(owner: Document, name: str) -> str:
    """Return an entry of `Properties`; empty where it is absent or holds a secret."""
    value = owner.document("Properties").any(name)
    return value if isinstance(value, str) else ""


def split_names(typed: Sequence[str], known: Collection[str]) -> tuple[list[str], list[str]]:
    """Return the names in `typed`, folded as `known` is, and the texts that hold an unknown one.

    Commas have separated `typed` already. A name may have blanks of its own, so a text is taken
    whole where it is a name, and else as the longest names that it is made of.
    """
    names: list[str] = []
    missing: list[str] = []
    for text in typed:
        whole = text.casefold()
        found = [whole] if whole in known else _names_of(whole.split(), known)
        names += found
        missing += [] if found else [text]
    return names, missing


def _names_of(words: Sequence[str], known: Collection[str]) -> list[str]:
    """Return the names that make up `words`; none where a part of them is no name."""
    for end in range(len(words), 0, -1):
        name, rest = " ".join(words[:end]), words[end:]
        if name in known and ((others := _names_of(rest, known)) or not rest):
            return [name, *others]
    return []
