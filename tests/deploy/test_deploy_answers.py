"""What AWS answers is taken as far as it goes: a damaged answer is an ordinary error."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from pipeline.core.errors import PipelineError
from pipeline.core.events import Stage
from pipeline.deploy.aws_session import Credentials, connect
from pipeline.deploy.observe import Observed, observe, settled

from tests.deploy.deploy_support import ARN, NAME, OLD, Clock, code_sha256
from tests.deploy.fake_lambda import FakeLambda
from tests.standins.loopback import Answer, Asked, Loopback, serving
from tests.words import refused

WHOLE: dict[str, Any] = {
    "Configuration": {
        "FunctionName": NAME,
        "FunctionArn": ARN,
        "Runtime": "python3.13",
        "Handler": "app.handle",
        "Description": "Greets",
        "Architectures": ["arm64"],
        "Timeout": 30,
        "CodeSha256": code_sha256(OLD),
        "PackageType": "Zip",
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "LastUpdateStatusReason": "none",
        "LastModified": "2026-11-23T10:00:00.000+0000",
        "RevisionId": "r1",
        "Environment": {"Variables": {"OWNED_BY_STACK": "42"}},
        "VpcConfig": {"SubnetIds": ["a"], "SecurityGroupIds": []},
    },
    "Code": {"Location": "https://example.com", "RepositoryType": "S3"},
    "Tags": {"team": "web"},
}
_ODD: tuple[Any, ...] = (
    None,
    0,
    -1,
    1.5,
    True,
    "",
    "odd",
    [],
    ["x"],
    [None],
    {},
    {"x": {"y": [1]}},
)
_ROUNDS = 400


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inner = value.items() if isinstance(value, dict) else ()
    for key, item in inner:
        yield from _places(item, (*path, key))


def _damaged(chance: random.Random) -> bytes:
    document = copy.deepcopy(WHOLE)
    for _ in range(chance.randint(1, 3)):
        places = [place for place in _places(document) if place]
        *way, last = chance.choice(places) if places else ("Configuration",)
        holder: Any = document
        for key in way:
            holder = holder[key]
        if chance.random() < 0.4:
            del holder[last]
        else:
            holder[last] = copy.deepcopy(chance.choice(_ODD))
    data = json.dumps(document).encode()
    return data[: chance.randrange(len(data))] if chance.random() < 0.1 else data


@pytest.fixture
def said() -> Iterator[tuple[Loopback, list[bytes]]]:
    """Give a server that answers everything with the newest of some bodies."""
    bodies = [b""]

    def answer(_: Asked) -> Answer:
        return Answer(200, bodies[-1], {"content-type": "application/json"})

    with serving(answer) as server:
        yield server, bodies


@pytest.mark.slow
def test_any_answer_is_read_or_refused(
    said: tuple[Loopback, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is missing, null, of another type or cut short ends in an error, or is read."""
    server, bodies = said
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    there = connect(Credentials("key", "secret", "", "eu-west-1"), {})
    chance = random.Random(7)  # noqa: S311 - the same answers at each run
    read = 0
    for _ in range(_ROUNDS):
        bodies.append(_damaged(chance))
        with suppress(PipelineError):
            found = settled(there.functions, NAME, Clock().wait(ceiling=2.0), Stage("plan", print))
            assert isinstance(found, Observed)
            assert {type(key) for key in found.environment} <= {str}, bodies[-1]
            read += 1
    assert 0 < read < _ROUNDS


@pytest.mark.parametrize(
    "environment", [None, {}, {"Variables": None}, {"Variables": ["A"]}, {"Error": {}}]
)
def test_an_environment_without_variables_in_it_is_not_an_empty_one(environment: Any) -> None:
    """Writing over what was not read would lose the keys of others."""
    with refused("CI-Greeter", PipelineError):
        observe(FakeLambda.holding(OLD, Environment=environment), NAME)


def test_an_answer_without_an_environment_is_asked_for_again() -> None:
    """So answers a function without variables, and an answer that lacks a part of itself."""
    fake = FakeLambda.holding(OLD)
    environment = fake.configuration.pop("Environment")
    fake.before["get_function"] = [lambda _: None, lambda f: f.touch(Environment=environment)]
    assert observe(fake, NAME).environment == {"OWNED_BY_STACK": "42"}
    fake = FakeLambda.holding(OLD)
    del fake.configuration["Environment"]
    assert observe(fake, NAME).environment == {}
