"""Metrics of functions in the embedded AWS, and alarms on them, as a canary looks at them."""

from __future__ import annotations

import base64
import dataclasses
import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.awslambda.models import lambda_backends
from moto.cloudwatch.models import cloudwatch_backends
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.iam.models import iam_backends
from pipeline.local.moto_aliases import replace_qualifiers
from pipeline.local.moto_lambda import Execution, replace_execution
from pipeline.local.moto_metrics import judged_state
from pipeline.local.moto_stack import replace_dropped
from pipeline.local.patches import Patches
from pipeline.local.state import LocalAws
from pipeline.runtime.invocation import Figures, Invocation

from tests.local.local_support import APP, ROLE, TRUST, client, eventually, zipped
from tests.repositories import Render

Create = Callable[..., str]


@pytest.fixture
def live(lambdas: Any, create: Create) -> str:
    """Return a function whose alias `live` gives all its calls to version 1."""
    name = create()
    lambdas.publish_version(FunctionName=name)
    lambdas.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    return name


def dimensions(*values: str) -> list[dict[str, str]]:
    """Return Lambda's dimensions with these values, as many as there are."""
    names = ("FunctionName", "Resource", "ExecutedVersion")
    return [{"Name": name, "Value": value} for name, value in zip(names, values, strict=False)]


def asked(metric: str, stat: str, *of: str) -> dict[str, Any]:
    """Return a query for GetMetricData."""
    named = {"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": dimensions(*of)}
    return {"Id": "x", "MetricStat": {"Metric": named, "Period": 3600, "Stat": stat}}


def total(aws: LocalAws, metric: str, *of: str, stat: str = "Sum") -> float | None:
    """Return a statistic over the last half hour; None where there are no datapoints."""
    now = datetime.now(UTC)
    (found,) = client(aws, "cloudwatch").get_metric_data(
        MetricDataQueries=[asked(metric, stat, *of)],
        StartTime=now - timedelta(minutes=30),
        EndTime=now,
    )["MetricDataResults"]
    return found["Values"][0] if found["Values"] else None


def test_calls_count_for_function_alias_and_version(aws: LocalAws, lambdas: Any, live: str) -> None:
    """Each call is in the sums of its function, of what was called, and of the version that ran."""
    lambdas.update_function_configuration(FunctionName=live, Timeout=50)
    lambdas.publish_version(FunctionName=live)
    weights = {"AdditionalVersionWeights": {"2": 1.0}}
    for qualifier, times in (("live", 3), ("1", 2), ("$LATEST", 1)):
        for _ in range(times):
            lambdas.invoke(FunctionName=live, Qualifier=qualifier)
    lambdas.update_alias(FunctionName=live, Name="live", RoutingConfig=weights)
    lambdas.invoke(FunctionName=live, Qualifier="live", Payload=b'{"do":"raise"}')
    alias = f"{live}:live"
    expected = {
        (live,): (7, 1),
        (live, alias): (4, 1),
        (live, alias, "1"): (3, 0),
        (live, alias, "2"): (1, 1),
        (live, f"{live}:1"): (2, 0),
        (live, f"{live}:2"): (None, None),
        (live, live): (1, 0),
    }
    for of, counts in expected.items():
        assert (total(aws, "Invocations", *of), total(aws, "Errors", *of)) == counts, of
    assert total(aws, "Invocations", live, alias, stat="SampleCount") == 4
    assert total(aws, "ConcurrentExecutions", live, stat="Maximum") == 1
    listed = client(aws, "cloudwatch").list_metrics(MetricName="Duration")["Metrics"]
    assert dimensions(live, alias, "2") in [metric["Dimensions"] for metric in listed]


def test_durations_have_percentiles(aws: LocalAws, lambdas: Any, live: str) -> None:
    """GetMetricStatistics gives p99 beside others, in the minute in which a call started."""
    before = datetime.now(UTC).replace(second=0, microsecond=0)
    lambdas.invoke(FunctionName=live, Qualifier="live", Payload=b'{"do":"pause","seconds":0.2}')
    for _ in range(9):
        lambdas.invoke(FunctionName=live, Qualifier="live")
    datapoints = client(aws, "cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="Duration",
        Dimensions=dimensions(live, f"{live}:live", "1"),
        StartTime=before,
        EndTime=before + timedelta(hours=1),
        Period=3600,
        Statistics=["Maximum", "Minimum"],
        ExtendedStatistics=["p99", "p50"],
    )["Datapoints"]
    assert [(one["Timestamp"], one["Unit"]) for one in datapoints] == [(before, "Milliseconds")]
    assert datapoints[0]["ExtendedStatistics"]["p99"] == datapoints[0]["Maximum"] >= 200
    assert datapoints[0]["Minimum"] <= datapoints[0]["ExtendedStatistics"]["p50"] < 200
    p90 = total(aws, "Duration", live, f"{live}:live", "1", stat="p90")
    assert p90 is not None
    assert p90 < 200


def test_what_cannot_be_answered_is_refused(aws: LocalAws) -> None:
    """Metric math, an unknown statistic and a span that is none are errors, not empty answers."""
    cloudwatch = client(aws, "cloudwatch")
    now = datetime.now(UTC)
    span = {"StartTime": now - timedelta(minutes=1), "EndTime": now}
    cloudwatch.put_metric_data(Namespace="x", MetricData=[{"MetricName": "m", "Value": 1}])
    put = {"Namespace": "x", "MetricName": "m"}
    other = {"Id": "y", "MetricStat": {"Metric": put, "Period": 60, "Stat": "TM(1%:2%)"}}
    later = {"StartTime": span["StartTime"], "EndTime": now + timedelta(minutes=1)}
    for query, when, words in (
        ({"Id": "x", "Expression": "SUM(METRICS())"}, span, "evaluates no expressions"),
        (other, later, "knows no statistic TM"),
        (asked("m", "Sum"), {**span, "StartTime": now}, "must not equal"),
    ):
        with pytest.raises(ClientError, match=words):
            cloudwatch.get_metric_data(MetricDataQueries=[query], **when)


def test_reserved_concurrency_throttles(aws: LocalAws, lambdas: Any, live: str) -> None:
    """With none left a caller gets 429 and an event waits: Throttles counts, Invocations do not."""
    lambdas.put_function_concurrency(FunctionName=live, ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError, match="Rate Exceeded") as caught:
        lambdas.invoke(FunctionName=live, Qualifier="live")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    lambdas.invoke(FunctionName=live, Qualifier="live", InvocationType="Event")
    alias = f"{live}:live"
    eventually(lambda: (total(aws, "Throttles", live, alias, "1") or 0) >= 2)
    assert total(aws, "Invocations", live) is None
    lambdas.delete_function_concurrency(FunctionName=live)
    eventually(lambda: total(aws, "Invocations", live, alias, "1") == 1)


def test_a_stack_sets_reserved_concurrency_and_takes_it_away(
    aws: LocalAws, render_function: Render
) -> None:
    """0, the default's -1, and 0 again: events stop, run, and stop."""
    body = (render_function(function_kind="empty") / "environment" / "stack.yaml").read_text(
        "utf-8"
    )
    there = dataclasses.replace(aws, region="ap-south-1")
    stacks, lambdas = client(there, "cloudformation"), client(there, "lambda")
    put = stacks.create_stack
    for reserved in ("0", "-1", "0"):
        given = {"FunctionName": "fn", "ReservedConcurrency": reserved}
        parameters = [{"ParameterKey": key, "ParameterValue": one} for key, one in given.items()]
        put(StackName="fn", TemplateBody=body, Parameters=parameters)
        if reserved == "0":
            with pytest.raises(ClientError, match="Rate Exceeded"):
                lambdas.invoke(FunctionName="fn", Qualifier="live")
        else:
            assert lambdas.invoke(FunctionName="fn", Qualifier="live")["StatusCode"] == 200
        put = stacks.update_stack
    stacks.delete_stack(StackName="fn")


def test_an_alarm_of_a_stack_is_judged(aws: LocalAws, lambdas: Any, live: str) -> None:
    """It goes off with the error it waits for; what is set by hand stays until that changes."""
    there, alarm = client(aws, "cloudwatch"), str(uuid.uuid4())
    properties = {
        "AlarmName": alarm,
        "Namespace": "AWS/Lambda",
        "MetricName": "Errors",
        "Dimensions": dimensions(live, f"{live}:live"),
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    }
    resource = {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}
    client(aws, "cloudformation").create_stack(
        StackName=f"s{alarm}", TemplateBody=json.dumps({"Resources": {"Alarm": resource}})
    )

    def state() -> str:
        (found,) = there.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
        return str(found["StateValue"])

    assert state() == "INSUFFICIENT_DATA"
    there.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="a test")
    assert state() == "ALARM"
    lambdas.invoke(FunctionName=live, Qualifier="live")
    assert state() == "OK"
    lambdas.invoke(FunctionName=live, Qualifier="live", Payload=b'{"do":"raise"}')
    assert state() == "ALARM"
    red = there.describe_alarms(StateValue="ALARM", AlarmNamePrefix=alarm)["MetricAlarms"]
    assert "GreaterThanOrEqualToThreshold (1.0)" in red[0]["StateReason"]
    client(aws, "cloudformation").delete_stack(StackName=f"s{alarm}")


# The tables of "How alarm state is evaluated when data is missing" in CloudWatch's user guide:
# datapoints (X breaches), then the state where missing ones are missing, ignored, breaching, not.
THREE_OF_THREE = {
    "0-X-X": "OK OK OK OK",
    "0----": "OK OK OK OK",
    "-----": "INSUFFICIENT_DATA None ALARM OK",
    "0XX-X": "ALARM ALARM ALARM ALARM",
    "--X--": "ALARM None ALARM OK",
}
TWO_OF_THREE = {
    "0-X-X": "ALARM ALARM ALARM ALARM",
    "00X0X": "ALARM ALARM ALARM ALARM",
    "0-X--": "OK OK ALARM OK",
    "----0": "OK OK ALARM OK",
    "---X-": "ALARM None ALARM OK",
}


@pytest.mark.parametrize(
    ("points", "needed", "states"),
    [(points, 3, states) for points, states in THREE_OF_THREE.items()]
    + [(points, 2, states) for points, states in TWO_OF_THREE.items()],
)
def test_missing_data_is_judged_as_cloudwatch_documents(
    points: str, needed: int, states: str
) -> None:
    """Each row of the user guide's two tables, for each way to treat what is missing."""
    breaching = [{"0": False, "X": True, "-": None}[point] for point in points]
    treatments = ("missing", "ignore", "breaching", "notBreaching")
    judged = [judged_state(breaching, 3, needed, treatment) for treatment in treatments]
    assert list(map(str, judged)) == states.split()


class _Pool:
    """Runs nothing, and says which version it was to run."""

    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()

    def invoke(self, target: Any, _: bytes, *, request_id: str, **_named: str) -> Invocation:
        version = target.config.version
        self.ran[version] += 1
        figures = Figures(0.001 * self.ran.total(), None, None)
        return Invocation(request_id, version, b"{}", None, "", "", "stream", figures)

    def close(self) -> None:
        """Nothing runs."""


@pytest.fixture
def pool() -> Iterator[_Pool]:
    """Return a pool behind moto's functions in this process."""
    pool = _Pool()
    stand_in: Any = pool
    execution = Execution(stand_in, LocalAws("", "", "", "eu-west-1", 0, 0.0))
    with Patches() as patches:
        replace_execution(patches, execution)
        replace_qualifiers(patches)
        replace_dropped(patches)
        yield pool
    execution.close()


def test_a_tenth_of_2000_calls_runs_the_other_version(pool: _Pool) -> None:
    """As many as 99.9 % of such draws give, when another service calls; metrics know how many."""
    region: Any = lambda_backends[DEFAULT_ACCOUNT_ID]["eu-south-2"]
    settings: dict[str, Any] = {
        "permissions_boundary": None,
        "description": "",
        "max_session_duration": "3600",
    }
    iam_backends[DEFAULT_ACCOUNT_ID]["aws"].create_role("fn", TRUST, "/", tags=[], **settings)
    code = {"ZipFile": base64.b64encode(zipped({"app.py": APP})).decode()}
    spec = {"FunctionName": "fn", "Handler": "app.handle", "Runtime": "python3.13", "Code": code}
    region.create_function({**spec, "Role": ROLE.replace("/function", "/fn")})
    for timeout in (50, 60):
        region.update_function_configuration("fn", None, {"Timeout": timeout})
        region.publish_version("fn")
    region.create_alias("live", "fn", "1", "", {"AdditionalVersionWeights": {"2": 0.1}})
    while pool.ran.total() < 2_000:
        region.invoke("fn", "live", "{}", {}, {})
    assert 156 <= pool.ran["2"] <= 244
    cloudwatch = cloudwatch_backends[DEFAULT_ACCOUNT_ID]["eu-south-2"]
    last = asked("Invocations", "Sum", "fn", "fn:live", "2")
    now = datetime.now(UTC).replace(tzinfo=None)
    (found,) = cloudwatch.get_metric_data([last], now - timedelta(minutes=30), now)
    assert found["Values"] == [pool.ran["2"]]
