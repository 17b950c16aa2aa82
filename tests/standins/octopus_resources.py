"""The stand-in's environments, machines, pools, lifecycles, projects, channels and processes.

Paths and query parameters as in go-octopusdeploy pkg/constants/constants_uri_templates.go and
uritemplates/; the fields of each resource as in the package named beside it, and those of requests
as in Octopus's REST reference (OctopusDeploy/docs, src/pages/docs/api/_generated).
"""

from __future__ import annotations

from tests.standins.octopus_ask import ID, Answer, Ask, Route, page
from tests.standins.octopus_state import Document, Refusal, Space, folded

_ENVIRONMENT = (
    "Name", "Slug", "Description", "SortOrder", "UseGuidedFailure", "AllowDynamicInfrastructure",
    "EnvironmentTags", "ExtensionSettings",
)  # fmt: skip
# The REST reference, environments.md, "Create a new environment".
_LONGEST_NAME = 50
# The REST reference, deployment-targets.md, "Create a MachineResource".
_MACHINE = (
    "Name", "EnvironmentIds", "Roles", "TenantedDeploymentParticipation", "TenantIds",
    "TenantTags", "IsDisabled", "Endpoint", "MachinePolicyId", "SkipInitialHealthCheck", "Slug",
    "Thumbprint", "Uri",
)  # fmt: skip
# What the server says of a machine: clients send it back with the resource, to no effect.
_OF_SERVER = (
    "Architecture", "HasLatestCalamari", "HealthStatus", "IsInProcess", "OperatingSystem",
    "OperatingSystemVersion", "ShellName", "ShellVersion", "StatusSummary",
)  # fmt: skip
_LIFECYCLE = (
    "Name", "Description", "Phases", "ReleaseRetentionPolicy", "TentacleRetentionPolicy", "Slug",
)  # fmt: skip
_COMMON = ("Id", "SpaceId", "spaceName", "Links")
# go-octopusdeploy pkg/machines/endpoint.go
_STYLES = (
    "AzureCloudService", "AzureServiceFabricCluster", "AzureWebApp", "Ftp", "Kubernetes",
    "KubernetesTentacle", "AwsEcsCluster", "None", "OfflineDrop", "Ssh", "TentacleActive",
    "TentaclePassive",
)  # fmt: skip


def _environments(ask: Ask) -> Answer:
    return page(ask, ask.space.environments.values())


def _environment(ask: Ask, id: str) -> Answer:  # noqa: A002 - the API's word
    return 200, _existing(ask.space, "environments", id)


def _create_environment(ask: Ask) -> Answer:
    """go-octopusdeploy pkg/environments/environment.go; api-client.ts sends the name alone."""
    body = ask.body
    body.only(*_ENVIRONMENT, *_COMMON)
    body.need("Name")
    if len(body("Name")) > _LONGEST_NAME:
        raise Refusal(400, f"'Name' must have {_LONGEST_NAME} characters or fewer.")
    _refuse_twin(ask.space, "environments", "An environment", body("Name"))
    defaults = {"UseGuidedFailure": False, "AllowDynamicInfrastructure": False, "SortOrder": 0}
    document = body.document(defaults, *_ENVIRONMENT)
    document["Slug"] = document["Slug"] or document["Name"].lower()
    return 201, ask.space.add("environments", document)


def _change_environment(ask: Ask, id: str) -> Answer:  # noqa: A002
    found = _existing(ask.space, "environments", id)
    ask.body.only(*_ENVIRONMENT, *_COMMON)
    found.update(ask.body.document(found, *_ENVIRONMENT))
    return 200, found


def _delete_environment(ask: Ask, id: str) -> Answer:  # noqa: A002
    """Refused while something refers to it: OctopusDeploy/Issues #3136."""
    _existing(ask.space, "environments", id)
    users = [*_machines_in(ask.space, id), *_scopes_with(ask.space, id)]
    users += [
        f"lifecycle '{lifecycle['Name']}'"
        for lifecycle in ask.space.lifecycles.values()
        for phase in lifecycle["Phases"]
        if id in _targets(phase)
    ]
    if users:
        raise Refusal(400, f"This environment is in use by {', '.join(users)}.")
    del ask.space.environments[id]
    return 200, {"Id": "ServerTasks-0", "State": "Success"}


def _machines_in(space: Space, environment: str) -> list[str]:
    machines = space.machines.values()
    return [f"machine '{m['Name']}'" for m in machines if environment in m["EnvironmentIds"]]


def _scopes_with(space: Space, environment: str) -> list[str]:
    return [
        f"step '{action['Name']}'"
        for process in space.processes.values()
        for step in process["Steps"]
        for action in step["Actions"]
        if environment in action.get("Environments", [])
    ]


def _targets(phase: Document) -> list[str]:
    """go-octopusdeploy pkg/lifecycles/phase.go."""
    return [*phase["AutomaticDeploymentTargets"], *phase["OptionalDeploymentTargets"]]


def _machines(ask: Ask, environment: str = "") -> Answer:
    """go-octopusdeploy pkg/machines/machine_service.go."""
    wanted = {part for part in ask.query.get("environmentIds", environment).split(",") if part}
    roles = {folded(part) for part in ask.query.get("roles", "").split(",") if part}
    found = [
        machine
        for machine in ask.space.machines.values()
        if (not wanted or wanted & set(machine["EnvironmentIds"]))
        and (not roles or roles & {folded(role) for role in machine["Roles"]})
    ]
    return page(ask, found)


def _create_machine(ask: Ask) -> Answer:
    """octopusdeploy/cli pkg/cmd/target/cloud-region/create/create.go."""
    _check_machine(ask)
    # OctopusDeploy/Issues #2455
    _refuse_twin(ask.space, "machines", "A machine", ask.body("Name"))
    defaults = {
        "IsDisabled": False, "TenantIds": [], "TenantTags": [], "MachinePolicyId": "policies-1",
        "SkipInitialHealthCheck": False, "Slug": ask.body("Name").lower(),
    }  # fmt: skip
    made = ask.body.document(defaults, *_MACHINE)
    return 201, ask.space.add("machines", {**made, "HealthStatus": "Unknown", "IsInProcess": True})


def _change_machine(ask: Ask, id: str) -> Answer:  # noqa: A002
    found = _existing(ask.space, "machines", id)
    _check_machine(ask)
    found.update(ask.body.document(found, *_MACHINE))
    return 200, found


def _check_machine(ask: Ask) -> None:
    body = ask.body
    body.only(*_MACHINE, *_OF_SERVER, *_COMMON)
    body.need("Name", "EnvironmentIds", "Roles", "Endpoint")
    for id in body("EnvironmentIds"):  # noqa: A001
        _existing(ask.space, "environments", id, status=400)
    endpoint = body("Endpoint")
    if endpoint.get("CommunicationStyle") not in _STYLES:
        raise Refusal(400, "The endpoint's communication style is not known.")
    pool = endpoint.get("DefaultWorkerPoolId", "")
    if pool and pool not in ask.space.pools:
        raise Refusal(400, f"The worker pool '{pool}' was not found.")


def _delete_machine(ask: Ask, id: str) -> Answer:  # noqa: A002
    _existing(ask.space, "machines", id)
    del ask.space.machines[id]
    return 200, {"Id": "ServerTasks-0", "State": "Success"}


def _pools(ask: Ask) -> Answer:
    """go-octopusdeploy pkg/workerpools."""
    return page(ask, ask.space.pools.values())


def _lifecycles(ask: Ask) -> Answer:
    return page(ask, ask.space.lifecycles.values())


def _lifecycle(ask: Ask, id: str) -> Answer:  # noqa: A002
    return 200, _existing(ask.space, "lifecycles", id)


def _change_lifecycle(ask: Ask, id: str) -> Answer:  # noqa: A002
    """go-octopusdeploy pkg/lifecycles/phase.go; the rules are those of the REST reference."""
    found = _existing(ask.space, "lifecycles", id)
    ask.body.only(*_LIFECYCLE, *_COMMON)
    phases = []
    for number, phase in enumerate(ask.body("Phases", [])):
        if not phase.get("Name"):
            raise Refusal(400, "Every phase needs a name.")
        for environment in _targets(phase):
            _existing(ask.space, "environments", environment, status=400)
        defaults = {"IsOptionalPhase": False, "MinimumEnvironmentsBeforePromotion": 0}
        phases.append({"Id": f"{id}-phase-{number}", **defaults, **phase})
    names = [folded(phase["Name"]) for phase in phases]
    if len(set(names)) != len(names):
        raise Refusal(400, "Two phases have the same name.")
    targets = [target for phase in phases for target in _targets(phase)]
    if len(set(targets)) != len(targets):
        raise Refusal(400, "An environment may appear in only one phase.")
    if len([phase for phase in phases if not _targets(phase)]) > 1:
        raise Refusal(400, "At most one phase may list no environments.")
    if phases and all(phase["IsOptionalPhase"] for phase in phases):
        raise Refusal(400, "Not every phase may be optional.")
    found.update({**ask.body.document(found, *_LIFECYCLE), "Phases": phases})
    return 200, found


def _projects(ask: Ask) -> Answer:
    return page(ask, ask.space.projects.values())


def _all_projects(ask: Ask) -> Answer:
    """Answer with a bare array: octopusdeploy/cli pkg/cmd/release/create/create_test.go."""
    return 200, list(ask.space.projects.values())


def _project(ask: Ask, id: str) -> Answer:  # noqa: A002
    """By id or slug, not by name: go-octopusdeploy pkg/projects/project_service.go."""
    for project in ask.space.projects.values():
        if id in (project["Id"], project["Slug"]):
            return 200, project
    raise Refusal(404, message=f"The resource '{id}' was not found.")


def _channels(ask: Ask, project: str) -> Answer:
    """go-octopusdeploy pkg/channels."""
    found = [c for c in ask.space.channels.values() if c["ProjectId"] == project]
    return page(ask, found)


def _process(ask: Ask, id: str) -> Answer:  # noqa: A002
    """go-octopusdeploy pkg/deployments/deployment_step.go and deployment_action.go."""
    return 200, _existing(ask.space, "processes", id)


def _process_at(ask: Ask, project: str, git_ref: str = "") -> Answer:
    """Take a git reference where there is one: the REST reference, deployment-processes.md."""
    return 200, process_of(ask.space, project, git_ref)


def _resolved(ask: Ask, project: str, git_ref: str = "") -> Answer:
    """Replace usages of process templates by the templates' steps; unknown ones are left out.

    The REST reference, deployment-processes.md, "Get the resolved deployment process".
    """
    process = process_of(ask.space, project, git_ref)
    return 200, {**process, "Steps": _resolved_steps(ask.space, process)}


def _resolved_steps(space: Space, process: Document) -> list[Document]:
    found: list[Document] = []
    for step in process["Steps"]:
        is_usage = step.get("Type") == "ProcessTemplateUsage"
        found += space.process_templates.get(step["Name"], []) if is_usage else [step]
    return found


def process_of(space: Space, project: str, git_ref: str) -> Document:
    """Return the process of a project, which has to be asked for as the project is stored."""
    resource = _existing(space, "projects", project)
    id_ = resource["DeploymentProcessId"]
    if "PersistenceSettings" in resource:
        id_ = space.branches.get((project, git_ref.removeprefix("refs/heads/")))
    elif git_ref:
        id_ = None
    if id_ is None:
        raise Refusal(404, message=f"The resource '{git_ref or project}' was not found.")
    return _existing(space, "processes", id_)


def _template(ask: Ask, project: str, git_ref: str = "") -> Answer:
    """go-octopusdeploy pkg/deployments/deployment_process_template.go."""
    releases = [r for r in ask.space.releases.values() if r["ProjectId"] == project]
    selected = {
        (package["ActionName"], package["PackageReferenceName"]): package["Version"]
        for release in releases[-1:]
        for package in release["SelectedPackages"]
    }
    packages = [
        {
            "StepName": step,
            "ActionName": action,
            "PackageId": package["PackageId"],
            "PackageReferenceName": package["Name"],
            "FeedId": package["FeedId"],
            "IsResolvable": True,
            "VersionSelectedLastRelease": selected.get((action, package["Name"])),
        }
        for step, action, package in process_packages(ask.space, project, git_ref)
    ]
    return 200, {"Packages": packages, "LastReleaseVersion": None, "NextVersionIncrement": "0.0.1"}


def process_packages(
    space: Space, project: str, git_ref: str = ""
) -> list[tuple[str, str, Document]]:
    """Return (step, action, package reference) of every package in a project's process."""
    return [
        (step["Name"], action["Name"], package)
        for step in _resolved_steps(space, process_of(space, project, git_ref))
        for action in step["Actions"]
        for package in action.get("Packages", [])
    ]


def _existing(space: Space, kind: str, id: str, status: int = 404) -> Document:  # noqa: A002
    found: Document | None = getattr(space, kind).get(id)
    if found is None:
        raise Refusal(status, message=f"The resource '{id}' was not found.")
    return found


def _refuse_twin(space: Space, kind: str, what: str, name: str) -> None:
    if folded(name) in {folded(resource["Name"]) for resource in getattr(space, kind).values()}:
        raise Refusal(400, f"{what} with the name '{name}' already exists.")


_PAGE = "skip take ids partialName name"
ROUTES = (
    Route("GET", "/environments", _environments, _PAGE),
    Route("POST", "/environments", _create_environment),
    Route("GET", f"/environments{ID}", _environment),
    Route("PUT", f"/environments{ID}", _change_environment),
    Route("DELETE", f"/environments{ID}", _delete_environment),
    Route("GET", f"/environments{ID}/machines", _machines, _PAGE),
    Route("GET", "/machines", _machines, f"{_PAGE} environmentIds roles"),
    Route("POST", "/machines", _create_machine),
    Route("PUT", f"/machines{ID}", _change_machine),
    Route("DELETE", f"/machines{ID}", _delete_machine),
    Route("GET", "/workerpools", _pools, _PAGE),
    Route("GET", "/lifecycles", _lifecycles, _PAGE),
    Route("GET", f"/lifecycles{ID}", _lifecycle),
    Route("PUT", f"/lifecycles{ID}", _change_lifecycle),
    Route("GET", "/projects", _projects, _PAGE),
    Route("GET", "/projects/all", _all_projects),
    Route("GET", f"/projects{ID}/channels", _channels, _PAGE),
    Route("GET", f"/projects{ID}/deploymentprocesses", _process_at),
    Route("GET", f"/projects{ID}/deploymentprocesses/resolved", _resolved),
    Route("GET", f"/projects{ID}/deploymentprocesses/template", _template, "channel"),
    Route("GET", f"/projects{ID}/(.+)/deploymentprocesses", _process_at),
    Route("GET", f"/projects{ID}/(.+)/deploymentprocesses/resolved", _resolved),
    Route("GET", f"/projects{ID}/(.+)/deploymentprocesses/template", _template, "channel"),
    Route("GET", "/projects/([^/]+)", _project),
    Route("GET", f"/deploymentprocesses{ID}", _process),
)
