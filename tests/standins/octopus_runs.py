"""The stand-in's deployments and tasks, by the executions API and the older one."""

from __future__ import annotations

from tests.standins.octopus_ask import ID, SPACE, Answer, Ask, Route, ids, page
from tests.standins.octopus_releases import release_of
from tests.standins.octopus_state import Document, Refusal, Space, State, Task

# go-octopusdeploy pkg/deployments/deploy_release_v1.go
_DEPLOYMENT = (
    "ProjectName", "ReleaseVersion", "EnvironmentNames", "SpecificMachineNames",
    "ExcludedMachineNames", "SkipStepNames", "UseGuidedFailure", "ForcePackageDownload",
    "ForcePackageRedeployment", "UpdateVariableSnapshot", "Variables", "RunAt", "NoRunAfter",
    "Priority", "DeploymentFreezeNames", "DeploymentFreezeOverrideReason", "DebugMode",
    "SpecificTargetTagNames", "ExcludedTargetTagNames",
)  # fmt: skip


def _deployments_of_release(ask: Ask, release: str) -> Answer:
    found = [d for d in reversed(ask.space.deployments.values()) if d["ReleaseId"] == release]
    return page(ask, found)


def _deploy_v1(ask: Ask) -> Answer:
    """One task for each environment: go-octopusdeploy pkg/deployments/deploy_release_v1.go."""
    body = ask.body
    body.only(*SPACE, *_DEPLOYMENT)
    body.need("SpaceId", "SpaceIdOrName", "ProjectName", "ReleaseVersion", "EnvironmentNames")
    project = ask.space.named("projects", body("ProjectName"))
    release = release_of(ask.space, project, body("ReleaseVersion"))
    if release is None:
        raise Refusal(404, message=f"Release '{body('ReleaseVersion')}' was not found.")
    environments = [ask.space.named("environments", n) for n in body("EnvironmentNames")]
    made = [_deploy(ask, project, release, environment) for environment in environments]
    tasks = [{"DeploymentId": d["Id"], "ServerTaskId": d["TaskId"]} for d in made]
    return 201, {"DeploymentServerTasks": tasks}


def _deploy_old(ask: Ask) -> Answer:
    """go-octopusdeploy pkg/deployments/deployment.go."""
    body = ask.body
    body.only(
        "ReleaseId", "EnvironmentId", "SpecificMachineIds", "ExcludedMachineIds", "FormValues",
        "SkipActions", "ForcePackageDownload", "UseGuidedFailure", "Comments", "QueueTime",
        "SpaceId",
    )  # fmt: skip
    body.need("ReleaseId", "EnvironmentId")
    release = ask.space.named("releases", body("ReleaseId"))
    project = ask.space.projects[release["ProjectId"]]
    environment = ask.space.named("environments", body("EnvironmentId"))
    return 201, _deploy(ask, project, release, environment)


def _deploy(ask: Ask, project: Document, release: Document, environment: Document) -> Document:
    _check_lifecycle(ask, project, release, environment)
    names = (project["Name"], environment["Name"], release["Version"])
    description = f"Deploy {names[0]} release {names[2]} to {names[1]}"
    task = ask.state.run(ask.space, description, ask.state.script(*names))
    facts = {"ProjectId": project["Id"], "ReleaseId": release["Id"], "Name": description}
    return ask.space.add(
        "deployments", {**facts, "EnvironmentId": environment["Id"], "TaskId": task.id}
    )


def _check_lifecycle(ask: Ask, project: Document, release: Document, environment: Document) -> None:
    """Phases in their order; optional ones may be skipped: go-octopusdeploy pkg/lifecycles."""
    phases = ask.space.lifecycles[project["LifecycleId"]]["Phases"]
    if not phases:
        return
    done = _deployed_to(ask.space, ask.state, release["Id"])
    for phase in phases:
        targets = [*phase["AutomaticDeploymentTargets"], *phase["OptionalDeploymentTargets"]]
        if environment["Id"] in targets or not targets:
            return
        needed = phase["MinimumEnvironmentsBeforePromotion"] or len(targets)
        if len(done & set(targets)) < needed and not phase["IsOptionalPhase"]:
            break
    what = (
        f"Release '{release['Version']}' cannot be deployed to '{environment['Name']}': "
        "the lifecycle does not allow it yet."
    )
    raise Refusal(400, what)


def _deployed_to(space: Space, state: State, release: str) -> set[str]:
    return {
        deployment["EnvironmentId"]
        for deployment in space.deployments.values()
        if deployment["ReleaseId"] == release
        and space.tasks[deployment["TaskId"]].state(state.seconds()) == "Success"
    }


def _tasks(ask: Ask) -> Answer:
    """Leave unknown ids out of the items: api-client.ts serverTaskWaiter.ts."""
    now, wanted = ask.state.seconds(), ids(ask)
    found = [task for task in ask.space.tasks.values() if not wanted or task.id in wanted]
    return page(ask, [task.document(now) for task in found])


def _task(ask: Ask, id: str) -> Answer:  # noqa: A002
    return 200, _existing_task(ask, id).document(ask.state.seconds())


def _existing_task(ask: Ask, id: str) -> Task:  # noqa: A002
    """Tasks are known by their id alone, whatever the space in the URL."""
    for space in ask.state.spaces.values():
        if id in space.tasks:
            return space.tasks[id]
    raise Refusal(404, message=f"The resource '{id}' was not found.")


def _details(ask: Ask, id: str) -> Answer:  # noqa: A002
    """Octopus.Client's TaskRepository.GetDetails has the parameters."""
    tail = int(ask.query.get("tail", "20"))
    return 200, _existing_task(ask, id).details(ask.state.seconds(), tail)


def _raw(ask: Ask, id: str) -> Answer:  # noqa: A002
    """Plain text: api-client.ts src/features/serverTasks/spaceServerTaskRepository.ts."""
    return 200, _existing_task(ask, id).raw(ask.state.seconds()).encode()


def _cancel(ask: Ask, id: str) -> Answer:  # noqa: A002
    """api-client.ts src/features/serverTasks/serverTaskRepository.ts posts `{}`."""
    task = _existing_task(ask, id)
    task.cancelled = task.cancelled or ask.state.seconds()
    return 200, task.document(ask.state.seconds())


ROUTES = (
    Route("GET", f"/releases{ID}/deployments", _deployments_of_release, "skip take"),
    Route("POST", "/deployments/create/untenanted/v1", _deploy_v1),
    Route("POST", "/deployments", _deploy_old),
    Route("GET", "/tasks", _tasks, "ids skip take"),
    Route("GET", f"/tasks{ID}", _task),
    Route("GET", f"/tasks{ID}/details", _details, "verbose tail"),
    Route("GET", f"/tasks{ID}/raw", _raw),
    Route("POST", f"/tasks{ID}/cancel", _cancel),
)
