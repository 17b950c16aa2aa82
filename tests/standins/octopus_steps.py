"""Steps of a deployment process, as the stand-in Octopus server keeps them."""

from __future__ import annotations

from tests.standins.octopus_state import Document


def step(action_type: str, package: str, **properties: str) -> Document:
    """Return a step with one action, as go-octopusdeploy pkg/deployments has it."""
    name = "Deploy"
    reference = {"Name": "", "PackageId": package, "FeedId": "feeds-builtin", "Properties": {}}
    dotted = {key.replace("__", "."): value for key, value in properties.items()}
    roles = {"Octopus.Action.TargetRoles": dotted.pop("roles", "lambda")}
    action = {
        "Name": name,
        "ActionType": action_type,
        "IsDisabled": False,
        "Environments": [],
        "ExcludedEnvironments": [],
        "Channels": [],
        "WorkerPoolId": "",
        "Packages": [reference],
        "Properties": dotted,
    }
    return {"Name": name, "Properties": roles, "Actions": [action]}


def script_step(package: str, script: str = "deploy.py") -> Document:
    """Return a "Run a script" step with its script from the package."""
    return step(
        "Octopus.Script",
        package,
        Octopus__Action__Script__ScriptSource="Package",
        Octopus__Action__Script__ScriptFileName=script,
        Octopus__Action__RunOnServer="true",
    )
