"""How traffic moves to a new version: at once or a part of it first, and what that part demands."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ..core.errors import PipelineError, UsageError
from ..core.names import ALIAS, LATEST, release_in
from ..core.text import seconds_of, span
from .aws_errors import explained_errors
from .aws_session import Connection
from .observe import Alias, Observed, listed

# Octopus variables: a strategy for this once, and a decision about a canary.
STRATEGY_VARIABLE, TRAFFIC_VARIABLE = "AWS.Lambda.Strategy", "AWS.Lambda.Traffic"
PROMOTE, ABORT = "promote", "abort"
# Fewer calls say nothing: with one error among ten, nobody knows whether it is one in ten.
FEWEST_CALLS = 20
# Lambda sends its figures each minute, for the minute in which a call began; one more to arrive.
_UNTIL_SENT = 120
_MOST_ALARMS = 100  # in one answer, and in one question
_LONGEST = 24 * 3600  # seconds; figures of one day come in one answer
_STRATEGY = re.compile(r"canary:([0-9]{1,2}(?:\.[0-9]{1,2})?):([0-9]{1,5}[smh])")
# How thresholds are written, with an example.
_THRESHOLD = "thresholds."
_PART, _COUNT = r"([0-9]{1,2}(?:\.[0-9]{1,4})?)%", r"[0-9]{1,6}"
_WRITTEN = {
    "errors": (_PART, "1%"),
    "throttles": (_PART, "1%"),
    "dead-letters": (_COUNT, "0"),
    "calls": (_COUNT, "100"),
}
_KNOWN = ", ".join(_WRITTEN)
# How the alias's description begins while a canary is under way.
CANARY = "canary of"
_MARK = re.compile(rf"{CANARY} (\S+) .*since (\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ)")
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Strategy:
    """`percent` of the calls go to the new version for `seconds`, then all; 100 is all at once."""

    percent: float = 100.0
    seconds: float = 0.0

    @classmethod
    def parse(cls, text: str, where: str) -> Strategy:
        """Read `all-at-once` or `canary:PERCENT:DURATION`. Raises UsageError."""
        if text == str(cls()):
            return cls()
        found = _STRATEGY.fullmatch(text)
        strategy = cls(float(found[1]), seconds_of(where, found[2])) if found else cls()
        if not strategy.percent or not 0 < strategy.seconds <= _LONGEST:
            then = "Write all-at-once, or canary:PERCENT:DURATION like canary:10:15m, up to 24h."
            raise UsageError(where, f"{text!r} is not a strategy", then)
        return strategy

    def __str__(self) -> str:
        return f"canary:{self.percent:g}:{span(self.seconds)}" if self.seconds else "all-at-once"


@dataclass(frozen=True)
class Thresholds:
    """What the calls of a new version may be like.

    `errors` and `throttles` are parts of them, `p99` is in milliseconds, `dead_letters` how many
    events the alias may give up; None does not count. Fewer `calls` decide nothing.
    """

    errors: float = 0.01
    throttles: float = 0.01
    p99: float | None = None
    dead_letters: int | None = None
    calls: int = FEWEST_CALLS


@dataclass(frozen=True)
class Rollout:
    """An environment's strategy, and what a canary there is judged by.

    It travels as texts in the environment's place: `strategy`, `alarms` (one a line),
    `thresholds.NAME`.
    """

    strategy: Strategy = Strategy()
    alarms: tuple[str, ...] = ()
    thresholds: Thresholds = Thresholds()

    @classmethod
    def read(cls, place: Mapping[str, str]) -> Rollout:
        """Read them from a place. Raises PipelineError that is at the key which is wrong."""
        given = {
            key: _threshold(key, key.removeprefix(_THRESHOLD), text)
            for key, text in place.items()
            if key.startswith(_THRESHOLD)
        }
        names = {key.removeprefix(_THRESHOLD).replace("-", "_"): given[key] for key in given}
        return cls(
            Strategy.parse(place.get("strategy", str(Strategy())), "strategy"),
            tuple(place.get("alarms", "").splitlines()),
            Thresholds(**names),
        )


def _threshold(key: str, name: str, text: str) -> Any:
    if name == "p99":
        return seconds_of(key, text) * 1000
    if name not in _WRITTEN:
        raise PipelineError(key, "there is no such threshold", f"Known are p99, {_KNOWN}.")
    found = re.fullmatch(_WRITTEN[name][0], text)
    if not found or (name == "calls" and int(text) < FEWEST_CALLS):
        then = f'Write it like "{_WRITTEN[name][1]}". Fewer than {FEWEST_CALLS} calls are chance.'
        raise PipelineError(key, f"{text!r} is not valid", then)
    return float(found[1]) / 100 if text.endswith("%") else int(text)


@dataclass(frozen=True)
class Canary:
    """A part of the calls for a new version: how it is judged, and beside which version.

    `stable` is what serves the other calls, None where it could not be read. `since` is when the
    canary began, where it is under way already.
    """

    rollout: Rollout
    stable: Observed | None = field(repr=False)
    since: datetime | None = None

    @classmethod
    def of(
        cls, rollout: Rollout, alias: Alias | None, versions: Iterable[Observed]
    ) -> Canary | None:
        """Return the canary that a rollout asks for, None for a move at once.

        That is any move from `$LATEST`: no version serves yet that could take the other calls.
        """
        if not rollout.strategy.seconds or not alias or alias.version == LATEST:
            return None
        stable = next((one for one in versions if one.version == alias.version), None)
        return cls(rollout, stable, canary_in(alias)[1])


def canary_mark(description: str, now: datetime) -> str:
    """Return the alias's description while a part of the calls goes to that release."""
    release = " ".join(release_in(description)) or "unknown -"
    return f"{CANARY} {release} since {now:{_TIME}}"


def canary_in(alias: Alias) -> tuple[str, datetime | None]:
    """Return which release a half-weighted alias tries and since when; else ("", None).

    Weights without our mark are somebody else's: a person's, or CodeDeploy's.
    """
    found = _MARK.match(alias.description) if alias.weights else None
    if not found:
        return "", None
    return found[1], datetime.strptime(found[2], _TIME).replace(tzinfo=timezone.utc)  # noqa: UP017 - Python 3.10


def metric_delay(connection: Connection, version: Observed) -> float:
    """Return after how many seconds the figures of a call are there: AWS's, or the connection's.

    A call is counted in the minute in which it began, and once it has ended.
    """
    if connection.metric_delay is not None:
        return connection.metric_delay
    return timeout(version) + _UNTIL_SENT


def timeout(version: Observed) -> float:
    """Return the timeout of a function or version, in seconds."""
    return float(json.loads(version.rest.get("Timeout", "3")))


def refuse_canary(
    canary: Canary, alias: Alias, target: Observed, connection: Connection, where: str
) -> list[str]:
    """Return the alarms that are red already, if nothing stands in the way of a canary of `target`.

    Else raises PipelineError that names it: what AWS demands of two versions behind one alias,
    weights of somebody else, a time in which nothing could be seen, alarms that are not there.
    """
    reasons = [*_unlike(canary, target), *_too_short(canary, target, connection)]
    if alias.weights and not canary.since:
        reasons.append(f"{ALIAS} is {alias}, which CodeDeploy or somebody did, not this pipeline")
    method, part = "list_provisioned_concurrency_configs", "ProvisionedConcurrencyConfigs"
    provisioned = listed(connection.functions, method, part, target.name)
    if alias.arn in [one["FunctionArn"] for one in provisioned]:
        reasons.append(f"{ALIAS} has provisioned concurrency, which cannot be managed meanwhile")
    alarms = canary.rollout.alarms
    states = alarm_states(connection.clients("cloudwatch"), alarms) if alarms else {}
    reasons += [f"there is no alarm {name}" for name in alarms if name not in states]
    if reasons:
        raise PipelineError(
            where,
            "\n  ".join([f"{canary.rollout.strategy} is not possible:", *reasons]),
            "Nothing was changed. Correct that, or move at once: `--strategy all-at-once`, in "
            f"Octopus the variable {STRATEGY_VARIABLE}.",
        )
    return [name for name, (state, _) in states.items() if state == "ALARM"]


def _unlike(canary: Canary, target: Observed) -> list[str]:
    if canary.stable is None:
        return ["the version that serves cannot be read"]
    pairs = [
        (name, canary.stable.rest.get(name, ""), target.rest.get(name, ""))
        for name in ("Role", "DeadLetterConfig")
    ]
    return [
        f"an alias takes two versions only with the same {name}: {was or '(none)'} in version "
        f"{canary.stable.version}, {now or '(none)'} in the new one"
        for name, was, now in pairs
        if was != now
    ]


def _too_short(canary: Canary, target: Observed, connection: Connection) -> list[str]:
    delay = metric_delay(connection, target)
    given, needed = canary.rollout.strategy.seconds, delay
    why = f"its calls are seen only after {span(delay)} (the function's timeout, and 2 minutes)"
    if canary.rollout.thresholds.dead_letters is not None:
        # AWS tries an event again after one minute, and then after two more.
        if connection.metric_delay is None:
            needed += 3 * timeout(target) + 180
        why += ", and dead letters come after three attempts"
    if given > needed:
        return []
    return [f"{why}: take {span(60 * math.ceil((needed + 60) / 60))} or more"]


def alarm_states(client: Any, names: tuple[str, ...]) -> dict[str, tuple[str, datetime]]:
    """Return state and time of the last change of each alarm that is there, by name."""
    with explained_errors("CloudWatch", "cloudwatch:DescribeAlarms"):
        kinds = ["MetricAlarm", "CompositeAlarm"]
        answer = client.describe_alarms(
            AlarmNames=[*names], AlarmTypes=kinds, MaxRecords=_MOST_ALARMS
        )
        found = [*answer.get("MetricAlarms", ()), *answer.get("CompositeAlarms", ())]
        return {
            one["AlarmName"]: (
                one["StateValue"],
                # An update of the reason alone is no change of the state.
                one.get("StateTransitionedTimestamp") or one["StateUpdatedTimestamp"],
            )
            for one in found
        }


def ended(
    word: str, alias: Alias | None, versions: Iterable[Observed], where: str
) -> tuple[Observed, Alias]:
    """Return the version that is to serve all calls when a canary is promoted or aborted.

    Raises PipelineError where no canary is under way.
    """
    if alias is None or not alias.weights:
        there = f"{ALIAS} is {alias}" if alias else f"the function has no alias {ALIAS}"
        then = "Look with `python3 tasks.py status`."
        raise PipelineError(where, f"no canary is under way to {word}: {there}", then)
    number = next(iter(alias.weights)) if word == PROMOTE else alias.version
    found = next((one for one in versions if one.version == number), None)
    if found is None:
        raise PipelineError(where, f"version {number} cannot be read", "Deploy a release.")
    return found, alias


def decide(environment: str) -> str:
    """Say what can be done about a canary that is under way."""
    return (
        "Deploy that release again, and it is judged again; or decide yourself: "
        f"`python3 tasks.py deploy {environment} --promote` or --abort; in Octopus with the "
        f"variable {TRAFFIC_VARIABLE}, {PROMOTE} or {ABORT}."
    )


def refuse_other(made: Observed | None, tried: Observed, where: str) -> None:
    """Raise PipelineError where another release than the one that is tried would be promoted."""
    if made != tried:
        what = f"the canary is version {tried.version} ({tried.description}), not this release"
        raise PipelineError(where, what, "Promote the release of the canary.")
