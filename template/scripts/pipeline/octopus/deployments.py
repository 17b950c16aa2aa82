"""Starting a release's deployment to an environment, only once even if the answer is lost."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from ..core.errors import PipelineError
from ..edge.http import HttpError, NoAnswerError
from .client import Octopus
from .environments import OctopusEnvironment
from .releases import Release

_ATTEMPTS = 2


@dataclass(frozen=True)
class Run:
    """A deployment that was started: its server task, and where people look at it."""

    task: str
    project: str
    environment: str
    version: str
    link: str


def start_deployment(octopus: Octopus, release: Release, environment: OctopusEnvironment) -> Run:
    """Start the deployment and return its task.

    Raises PipelineError with the server's words where it refuses, as when a lifecycle forbids it.
    """
    before = _started(octopus, release, environment)
    task = ""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            task = _create(octopus, release, environment)
        except NoAnswerError:
            new = _started(octopus, release, environment).items() - before.items()
            task = max(new)[1] if new else ""
            if not task and attempt == _ATTEMPTS:
                raise
        except HttpError as error:
            then = (
                "Look at the lifecycle of the project's channel: the release has to pass its "
                f"earlier phases first, and {environment.name} has to be in one of them."
            )
            what = f"project {release.project.name}, release {release.version}: "
            raise PipelineError(
                f"deploy {environment.name}",
                what + (error.text or error.what),
                then if error.status == HTTPStatus.BAD_REQUEST else error.then,
            ) from error
        if task:
            break
    link = octopus.link(f"tasks/{task}")
    return Run(task, release.project.name, environment.name, release.version, link)


def _create(octopus: Octopus, release: Release, environment: OctopusEnvironment) -> str:
    if not octopus.has_executions:
        document = {"ReleaseId": release.id, "EnvironmentId": environment.id}
        return octopus.post("deployments", document).identity("TaskId")
    answer = octopus.execute(
        "deployments/create/untenanted/v1",
        projectName=release.project.name,
        releaseVersion=release.version,
        environmentNames=[environment.name],
    )
    tasks = answer.documents("DeploymentServerTasks")
    return (tasks[0] if tasks else answer).identity("ServerTaskId")


def _started(octopus: Octopus, release: Release, environment: OctopusEnvironment) -> dict[str, str]:
    """Return the tasks of the release's deployments to the environment, by the deployment's id."""
    return {
        deployment.identity(): deployment.identity("TaskId")
        for deployment in octopus.all(f"releases/{release.id}/deployments")
        if deployment.text("EnvironmentId") == environment.id
    }
