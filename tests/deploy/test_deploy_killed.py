"""A worker's process that is killed at any moment of a deploy, and run again.

It is the whole package's, under a bare Python, against the strict embedded AWS.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pipeline.deploy.verdict import Held

from tests.deploy.deploy_support import (
    PYTHON,
    SCRIPTS,
    manifest,
    octopus_variables,
    write_whole_package,
)
from tests.deploy.strict_aws import StrictAws, code_of, strict_aws
from tests.standins.faults import Fault, Forward, writes
from tests.standins.loopback import NO_ANSWER, Answer

GLOBALS = SCRIPTS / "pipeline" / "octopus" / "worker_globals.py"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrictAws]:
    """Return an embedded AWS that the worker's package reaches through faults."""
    folder = tmp_path_factory.mktemp("a worker")
    facts = replace(manifest(code_of("2.0.8")), version="2.0.8")
    write_whole_package(folder / "2.0.8", facts, code_of("2.0.8"))
    with strict_aws(folder, settles=0) as found:
        yield found


def started(aws: StrictAws, name: str) -> subprocess.Popen[bytes]:
    """Start the deploy of 2.0.8 as a worker does."""
    given = {"AWS_Deployment_Key": aws.key, "AWS_Lambda_Function_Name": name}
    variables = octopus_variables(**given, Octopus_Release_Number="2.0.8")
    bare = (PYTHON, "-I", "-S", "-u")
    process = subprocess.Popen(
        [*bare, GLOBALS, "deploy.py", secrets.token_hex(32).upper()],
        cwd=aws.folder / "2.0.8",
        env={"PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": aws.faults.url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdin
    process.stdin.write(json.dumps(variables).encode())
    process.stdin.close()
    process.stdin = None
    return process


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Wait for the end, and return exit code and output."""
    output, _ = process.communicate()
    return process.returncode, output.decode()


@pytest.mark.slow
def test_a_worker_that_is_killed_is_run_again(aws: StrictAws) -> None:
    """Before any call, and between any write and its answer: traffic meets a whole release.

    An edit in the console before the next run stays, and after that run nothing is left to do.
    """
    aws.faults.forget()
    aws.deploy("2.0.8", aws.fresh(), aws.faults)
    calls = list(aws.faults.calls)
    moments = [(number, False) for number in range(len(calls))]
    moments += [(number, True) for number, call in enumerate(calls) if writes(call)]
    assert len(moments) > len(calls) > 15
    for number, carried_out in moments:
        name = aws.fresh()
        aws.faults.forget()
        running: list[subprocess.Popen[bytes]] = []
        aws.faults.at[number] = _kill(running, carried_out=carried_out)
        running.append(started(aws, name))
        code, output = ended(running[0])
        assert code == -signal.SIGKILL, output
        assert aws.release_served(name) in {"2.0.7", "2.0.8"}, calls[number]
        aws.edit(name, EDITED="then")
        code, output = ended(started(aws, name))
        assert code == 0, output
        assert aws.release_served(name) == "2.0.8"
        assert aws.served(name)["Environment"]["Variables"]["EDITED"] == "then"
        aws.faults.forget()
        aws.deploy("2.0.8", name, aws.faults)
        assert not [call for call in aws.faults.calls if writes(call)]


class Died(BaseException):
    """What nobody catches, as nobody catches SIGKILL."""


def mortal(aws: StrictAws, number: int, *, carried_out: bool) -> tuple[Any, list[str]]:
    """Return a client whose user dies at that call, and the calls so far."""
    client, calls = aws.new_client(aws.endpoint, "lambda"), list[str]()

    def before(model: Any, **_: Any) -> None:
        calls.append(model.name)
        if len(calls) > number and not carried_out:
            raise Died

    def after(**_: Any) -> None:
        if len(calls) > number:
            raise Died

    client.meta.events.register("before-call", before)
    client.meta.events.register("after-call", after)
    return client, calls


@pytest.mark.slow
@pytest.mark.parametrize("then", ["2.0.8", "2.0.9"], ids=["the same", "another"])
def test_a_canary_whose_worker_died_is_finished_or_undone(aws: StrictAws, then: str) -> None:
    """Wherever it died: old and new version are whole, and the next deploy ends the weights.

    Nobody calls meanwhile, so that the canary is held in the end where nobody dies.
    """
    canary = {"AWS_Lambda_Strategy": "canary:10:40s"}
    living, calls = mortal(aws, 1000, carried_out=False)
    with pytest.raises(Held):
        aws.deploy_by(living, "2.0.8", aws.fresh(), **canary)
    moments = [(number, False) for number in range(len(calls))]
    moments += [(number, True) for number, call in enumerate(calls) if writes(call)]
    weighted = 0
    for number, carried_out in moments:
        name = aws.fresh()
        dying, _ = mortal(aws, number, carried_out=carried_out)
        with pytest.raises(Died):
            aws.deploy_by(dying, "2.0.8", name, **canary)
        alias = aws.lambdas.get_alias(FunctionName=name, Name="live")
        weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        assert (alias["FunctionVersion"], weights) in [("1", {}), ("1", {"2": 0.1})], calls[number]
        weighted += bool(weights)
        aws.edit(name, EDITED="then")
        aws.deploy(then, name, AWS_Lambda_Strategy="all-at-once")
        assert aws.release_served(name) == then
        aws.faults.forget()
        aws.deploy(then, name, aws.faults, AWS_Lambda_Strategy="all-at-once")
        assert not [call for call in aws.faults.calls if writes(call)]
    assert 0 < weighted < len(moments)


def _kill(running: list[subprocess.Popen[bytes]], *, carried_out: bool) -> Fault:
    def kill(forward: Forward) -> Answer:
        if carried_out:
            forward()
        running[0].kill()
        return NO_ANSWER

    return kill
