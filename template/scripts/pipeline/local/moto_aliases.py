"""Aliases and versions as Lambda has them: moto stores aliases, and calls go past them.

Whoever looks a function up by an alias gets the version it leads to under the alias's own ARN,
policy and retry settings. Which version a call runs is decided when it runs, by the weights.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from moto.awslambda.models import LambdaBackend, LambdaStorage
from moto.awslambda.policy import Policy
from moto.awslambda.utils import make_function_arn

from .patches import Original, Patches

# What a function's description says of one state of it, and not of what is published.
_STATE = frozenset(
    {
        *("FunctionArn", "LastModified", "RevisionId", "Version"),
        *("LastUpdateStatus", "LastUpdateStatusReason", "LastUpdateStatusReasonCode"),
        *("State", "StateReason", "StateReasonCode"),
    }
)


def replace_qualifiers(patches: Patches) -> None:
    """Let every lookup in moto see aliases, and let versions keep their number for ever."""
    patches.wrap(LambdaStorage, "get_function_by_name_with_qualifier", _lookup)
    patches.replace(LambdaStorage, "get_arn", _get_arn)
    patches.replace(LambdaStorage, "publish_version", _publish_version)
    patches.wrap(LambdaBackend, "put_function_event_invoke_config", _put_retry_settings)
    patches.replace(LambdaBackend, "update_function_event_invoke_config", _update_retry_settings)
    patches.replace(LambdaBackend, "delete_function_event_invoke_config", _delete_retry_settings)
    patches.replace(LambdaBackend, "list_function_event_invoke_configs", _list_retry_settings)
    patches.wrap(LambdaBackend, "list_event_source_mappings", _list_mappings)


def chosen_version(alias: Any, draw: Callable[[], float]) -> str:
    """Return the version that the next call of an alias runs; `draw` gives numbers from 0 to 1."""
    for version, weight in weights(alias).items():
        if draw() < weight:
            return version
    return str(alias.function_version)


def weights(alias: Any) -> Mapping[str, float]:
    """Return the share of calls, 0 to 1, that goes to another version than the alias's own."""
    return (alias.routing_config or {}).get("AdditionalVersionWeights") or {}


def through(version: Any, alias: Any) -> Any:
    """Return a version as it is seen through an alias."""
    seen = copy.copy(version)
    seen.alias = alias
    seen.function_arn = alias.arn
    # They are the alias's, and stay when it moves.
    seen.policy, seen.event_invoke_config = vars(alias).setdefault("own", (Policy(seen), []))
    return seen


def _lookup(original: Original, self: Any, name: str, qualifier: str | None = None) -> Any:
    found = original(self, name, qualifier)
    inside, _, own = name.partition(":")
    arn = make_function_arn(self.region_name, self.account_id, inside)
    alias = self._aliases.get(arn, {}).get(own or qualifier)
    return through(found, alias) if alias is not None else found


def _get_arn(self: Any, arn: str) -> Any:
    return self.get_function_by_name_or_arn_with_qualifier(arn)


def _publish_version(self: Any, name_or_arn: str, description: str = "") -> Any:
    latest = self.get_function_by_name_or_arn_forbid_qualifier(name_or_arn)
    versions = self._functions[latest.function_name]["versions"]
    published = {
        name: value for name, value in latest.get_configuration().items() if name not in _STATE
    }
    if versions and versions[-1].published == published:
        return versions[-1]
    # Numbers outlive versions, and functions too.
    numbers = vars(self).setdefault("numbers", Counter())
    numbers[latest.function_name] += 1
    version = copy.copy(latest)
    version.set_version(numbers[latest.function_name])
    version.published = copy.deepcopy(published)
    version.policy, version.event_invoke_config = Policy(version), []
    if description:
        version.description = description
    versions.append(version)
    self._arns[version.function_arn] = version
    return version


def _put_retry_settings(
    original: Original, self: Any, function_name: str, config: dict[str, Any]
) -> Any:
    # moto would keep the first one.
    self.get_function(function_name).event_invoke_config.clear()
    return original(self, function_name, config)


def _update_retry_settings(self: Any, function_name: str, config: dict[str, Any]) -> Any:
    before = self.get_function(function_name).event_invoke_config
    merged = {**before[0].config, **config} if before else config
    return self.put_function_event_invoke_config(function_name, merged)


def _delete_retry_settings(self: Any, function_name: str) -> None:
    self.get_function_event_invoke_config(function_name)  # or 404
    self.get_function(function_name).event_invoke_config.clear()


def _list_retry_settings(self: Any, function_name: str) -> Any:
    latest = self.get_function(function_name)
    found = [*self.list_versions_by_function(latest.function_name)]
    aliases = self.list_aliases(function_name)
    found += [self.get_function(latest.function_name, alias.name) for alias in aliases]
    configs = [config.response() for one in found for config in one.event_invoke_config]
    return {"FunctionEventInvokeConfigs": configs}


def _list_mappings(original: Original, self: Any, event_source_arn: str, function_name: str) -> Any:
    found = original(self, event_source_arn, "")
    if not function_name:
        return found
    arn = self.get_function(function_name).function_arn
    return [mapping for mapping in found if mapping.function_arn == arn]
