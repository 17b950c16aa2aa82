"""Octopus projects: finding them, and which of their steps deploy a package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from ..core.errors import PipelineError
from .client import Document, Octopus

DEPLOY_A_PACKAGE = "Octopus.TentaclePackage"
_ROLES = "Octopus.Action.TargetRoles"
_SOURCE = "Octopus.Action.Script.ScriptSource"
_SCRIPT = "Octopus.Action.Script.ScriptFileName"
_ON_SERVER = "Octopus.Action.RunOnServer"


@dataclass(frozen=True)
class OctopusProject:
    """A project: its id, name and slug, its lifecycle, and the path of its deployment process.

    `channel_id` is that of its default channel; empty on servers from before there were channels.
    """

    id: str
    name: str
    slug: str
    lifecycle_id: str
    process: str
    channel_id: str

    @classmethod
    def read(cls, octopus: Octopus, resource: Document) -> OctopusProject:
        """Return the project of a resource."""
        id_ = resource.identity()
        settings = resource.document("PersistenceSettings")
        if settings.text("Type") == "VersionControlled":
            branch = quote(settings.text("DefaultBranch"), safe="")
            process = f"projects/{id_}/{branch}/deploymentprocesses"
        else:
            process = f"deploymentprocesses/{resource.identity('DeploymentProcessId')}"
        names = (resource.text("Name"), resource.text("Slug"), resource.reference("LifecycleId"))
        channels = octopus.find(f"projects/{id_}/channels")
        known = channels.resources() if channels is not None else []
        defaults = [channel.identity() for channel in known if channel.flag("IsDefault")]
        return cls(id_, *names, process, "".join(defaults[:1]))


@dataclass(frozen=True)
class PackageStep:
    """A step that uses our package: how it runs the package's script, and for which machines.

    `project` is the name of its project. `environments` and `without` are the ids of the
    environments it is limited to and leaves out.
    """

    project: str
    name: str
    kind: str
    roles: tuple[str, ...]
    script_source: str
    script: str
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


def find_projects(octopus: Octopus, names: Sequence[str]) -> list[OctopusProject]:
    """Return the projects of these names, ids or slugs, in their order.

    Raises one PipelineError that names all missing ones.
    """
    found = {name: _find(octopus, name) for name in names}
    missing = [name for name, document in found.items() if document is None]
    if missing:
        raise PipelineError(
            "Octopus projects",
            f"not found in space {octopus.space_name}: {', '.join(missing)}",
            "Correct --projects, or project in pyproject.toml [tool.pipeline.octopus]; "
            "OCTOPUS_SPACE says in which space to look.",
        )
    return [OctopusProject.read(octopus, project) for project in found.values() if project]


def projects_like(octopus: Octopus, prefix: str) -> list[OctopusProject]:
    """Return the projects whose names begin with a prefix, in any case; at least one."""
    found = [
        OctopusProject.read(octopus, document)
        for document in octopus.all("projects", partialName=prefix)
        if document.text("Name").casefold().startswith(prefix.casefold())
    ]
    if not found:
        raise PipelineError(
            "Octopus projects",
            f"no project's name begins with {prefix!r}",
            "Correct --octopus-project-prefix.",
        )
    return sorted(found, key=lambda project: project.name)


def package_steps(octopus: Octopus, project: OctopusProject, package_id: str) -> list[PackageStep]:
    """Return the enabled steps of the deployment process that use the package.

    Only those of the default channel. Raises PipelineError where there is none: a release would
    then deploy nothing.
    """
    process = octopus.get(project.process)
    found = [
        _step(project.name, step, action)
        for step in process.documents("Steps")
        for action in step.documents("Actions")
        if _uses(action, package_id) and _runs(action, project.channel_id)
    ]
    if not found:
        raise PipelineError(
            f"Octopus project {project.name}",
            f"no step of its deployment process uses the package {package_id}",
            'Add a step "Run a script" with its script from this package, file deploy.py: '
            + octopus.link(f"projects/{project.slug}/deployments/process"),
        )
    return found


def _find(octopus: Octopus, name: str) -> Document | None:
    return octopus.find(f"projects/{quote(name, safe='')}") or octopus.named("projects", name)


def _uses(action: Document, package_id: str) -> bool:
    packages = action.documents("Packages")
    used = (package.text("PackageId").casefold() for package in packages)
    return package_id.casefold() in used


def _runs(action: Document, channel_id: str) -> bool:
    channels = action.texts("Channels")
    return not action.flag("IsDisabled") and (not channels or channel_id in channels)


def _step(project: str, step: Document, action: Document) -> PackageStep:
    return PackageStep(
        project=project,
        name=action.text("Name") or step.text("Name"),
        kind=action.text("ActionType"),
        roles=tuple(role.strip() for role in _property(step, _ROLES).split(",") if role.strip()),
        script_source=_property(action, _SOURCE),
        script=_property(action, _SCRIPT),
        on_worker=_property(action, _ON_SERVER).casefold() == "true",
        environments=tuple(action.texts("Environments")),
        without=tuple(action.texts("ExcludedEnvironments")),
    )


def _property(owner: Document, name: str) -> str:
    """Return an entry of `Properties`; empty where it is absent or holds a secret."""
    value = owner.document("Properties").any(name)
    return value if isinstance(value, str) else ""
