"""The time that changes of a function take on AWS, by a clock that the test sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pipeline.local.embedded import embedded_aws
from pipeline.local.strict import Settling

from tests.local.local_support import APP, MINOR, ROLE, TRUST, client, zipped

NEW = zipped({"app.py": APP + "# new\n"})
FN = {"FunctionName": "fn"}


@dataclass
class Slow:
    """A function as CreateFunction answered, its client, and the clock that it settles by."""

    lambdas: Any
    made: dict[str, Any]
    clock: list[float]

    def settle(self) -> None:
        """Let the time pass that a change takes."""
        self.clock[0] += 30

    def read(self, qualifier: str = "$LATEST") -> Any:
        """Return the configuration."""
        return self.lambdas.get_function_configuration(**FN, Qualifier=qualifier)


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Slow]:
    """Return a function that was just created, where everything takes half a minute."""
    clock = [1000.0]
    settling = Settling(30, lambda: clock[0])
    with embedded_aws(tmp_path, {}, region="eu-west-1", settling=settling) as aws:
        client(aws, "iam").create_role(RoleName="function", AssumeRolePolicyDocument=TRUST)
        lambdas = client(aws, "lambda")
        code = {"ZipFile": zipped({"app.py": APP})}
        request = {"Role": ROLE, "Handler": "app.handle", "Runtime": f"python{MINOR}", "Code": code}
        yield Slow(lambdas, lambdas.create_function(**FN, **request), clock)


def conflict(call: Callable[..., Any], **request: Any) -> str:
    """Make a call that must be refused with 409, and return the message."""
    with pytest.raises(ClientError) as error:
        call(**FN, **request)
    answer = error.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 409
    assert answer["Error"]["Code"] == "ResourceConflictException"
    return str(answer["Error"]["Message"])


def test_a_new_function_is_pending(slow: Slow) -> None:
    """Until it is active it neither runs nor changes, and has no version."""
    lambdas = slow.lambdas
    assert (slow.made["State"], slow.made["StateReasonCode"]) == ("Pending", "Creating")
    assert slow.read()["State"] == "Pending"
    assert "following state: Pending" in conflict(lambdas.invoke)
    for call in (lambdas.update_function_code, lambdas.publish_version):
        more = {"ZipFile": NEW} if call == lambdas.update_function_code else {}
        assert conflict(call, **more).startswith("The operation cannot be performed at this time.")
    slow.settle()
    assert slow.read()["State"] == "Active"
    assert "StateReason" not in slow.read()
    assert lambdas.invoke(**FN)["StatusCode"] == 200


def test_a_second_update_is_refused_while_one_is_under_way(slow: Slow) -> None:
    """Code, settings and versions wait for each other; reading, running, aliases need not."""
    lambdas = slow.lambdas
    slow.settle()
    answer = lambdas.update_function_configuration(**FN, Timeout=50)
    assert (answer["State"], answer["LastUpdateStatus"]) == ("Active", "InProgress")
    updating = "An update is in progress for resource: arn:aws:lambda:eu-west-1:"
    assert updating in conflict(lambdas.update_function_configuration, Timeout=60)
    assert updating in conflict(lambdas.update_function_code, ZipFile=NEW)
    assert updating in conflict(lambdas.publish_version)
    assert lambdas.update_function_code(**FN, ZipFile=NEW, DryRun=True)["CodeSize"] == len(NEW)
    lambdas.create_alias(**FN, Name="live", FunctionVersion="$LATEST")
    assert lambdas.invoke(**FN, Qualifier="live")["StatusCode"] == 200
    slow.settle()
    assert (slow.read()["LastUpdateStatus"], slow.read()["Timeout"]) == ("Successful", 50)
    lambdas.update_function_code(**FN, ZipFile=NEW)


def test_an_update_has_another_revision_when_it_has_settled(slow: Slow) -> None:
    """As users of AWS report it: the one in the answer to the update is stale by then."""
    slow.settle()
    given = slow.lambdas.update_function_configuration(**FN, Timeout=50)["RevisionId"]
    assert slow.read()["RevisionId"] == given
    slow.settle()
    with pytest.raises(ClientError, match="does not match the latest Revision Id"):
        slow.lambdas.update_function_code(**FN, ZipFile=NEW, RevisionId=given)
    revision = slow.read()["RevisionId"]
    slow.lambdas.update_function_code(**FN, ZipFile=NEW, RevisionId=revision)


def test_a_new_version_is_pending_and_an_old_one_is_not(slow: Slow) -> None:
    """Publishing takes its time, and changes the revision of $LATEST; what is there stays ready."""
    lambdas = slow.lambdas
    slow.settle()
    before = slow.read()["RevisionId"]
    assert lambdas.publish_version(**FN)["State"] == "Pending"
    assert (slow.read("1")["State"], slow.read()["State"]) == ("Pending", "Active")
    assert slow.read()["RevisionId"] != before
    assert "following state: Pending" in conflict(lambdas.invoke, Qualifier="1")
    slow.settle()
    after = slow.read()["RevisionId"]
    again = lambdas.publish_version(**FN)
    assert (again["Version"], again["State"]) == ("1", "Active")
    assert slow.read()["RevisionId"] == after
    published = lambdas.update_function_code(**FN, ZipFile=NEW, Publish=True)
    assert (published["Version"], published["State"]) == ("2", "Pending")
    assert slow.read()["LastUpdateStatus"] == "InProgress"
    slow.settle()
    assert {one["State"] for one in lambdas.list_versions_by_function(**FN)["Versions"]} == {
        "Active"
    }
