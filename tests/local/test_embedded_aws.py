from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import urllib3
from botocore.exceptions import ClientError
from pipeline.local.asynchronous import AsyncQueue, Job
from pipeline.local.state import LocalAws
from pipeline.runtime.invocation import Figures, Invocation

from tests.local.local_support import APP, MINOR, client, eventually, messages, zipped

Create = Callable[..., str]


def invoke(lambdas: Any, name: str, **event: Any) -> Any:
    """Invoke and return the client's answer with the decoded payload under `Document`."""
    answer = lambdas.invoke(FunctionName=name, LogType="Tail", Payload=json.dumps(event))
    answer["Document"] = json.loads(answer["Payload"].read())
    return answer


def dead_letters(aws: LocalAws) -> tuple[str, Callable[[], Any]]:
    """Make a queue; return its ARN, and what receives the messages in it."""
    sqs = client(aws, "sqs")
    url = sqs.create_queue(QueueName=f"dead-{uuid.uuid4()}")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])

    def received() -> Any:
        asked = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])
        return asked.get("Messages")

    return attributes["Attributes"]["QueueArn"], received


def test_invoke_runs_the_code(lambdas: Any, create: Create) -> None:
    """An invocation gives the function's answer, the version that ran, and its log."""
    answer = invoke(lambdas, create(), do="print", text="printed here")
    assert answer["StatusCode"] == 200
    assert answer["Document"] == {"do": "print", "text": "printed here"}
    assert answer["ExecutedVersion"] == "$LATEST"
    assert "FunctionError" not in answer
    log = base64.b64decode(answer["LogResult"]).decode()
    assert "printed here" in log
    assert answer["ResponseMetadata"]["RequestId"] in log


def test_an_exception_is_unhandled(lambdas: Any, create: Create) -> None:
    """A failing function answers 200 with FunctionError Unhandled and a readable trace."""
    answer = invoke(lambdas, create(), do="raise")
    assert answer["StatusCode"] == 200
    assert answer["FunctionError"] == "Unhandled"
    assert answer["Document"]["errorType"] == "ValueError"
    assert "\r" not in base64.b64decode(answer["LogResult"]).decode()


def test_large_answers_have_lambdas_own_limit(lambdas: Any, create: Create) -> None:
    """6.2 MB come back, more is Function.ResponseSizeTooLarge."""
    name = create()
    assert len(invoke(lambdas, name, do="large", size=6_200_000)["Document"]) == 6_200_000
    answer = invoke(lambdas, name, do="large", size=6_300_000)
    assert answer["Document"]["errorType"] == "Function.ResponseSizeTooLarge"


def test_logs_arrive_in_the_functions_group(aws: LocalAws, lambdas: Any, create: Create) -> None:
    """Every line is an event in /aws/lambda/NAME; a trace is a single one with line breaks."""
    name = create()
    invoke(lambdas, name, do="print", text="a line of its own")
    assert messages(aws, f"/aws/lambda/{name}", "a line of its own") == ["a line of its own\n"]
    invoke(lambdas, name, do="raise")
    trace = messages(aws, f"/aws/lambda/{name}", "[ERROR] ValueError")
    assert len(trace) == 1
    assert "Traceback" in trace[0].splitlines()[1]


@pytest.mark.parametrize(
    ("level", "own", "kinds"),
    [
        ("INFO", ["told", "warned"], "initStart start report start runtimeDone report"),
        (
            "DEBUG",
            ["told", "warned"],
            "initStart start runtimeDone report start runtimeDone report",
        ),
        ("WARN", ["warned"], "runtimeDone report"),
    ],
)
def test_a_log_in_json_begins_at_its_levels(
    aws: LocalAws, lambdas: Any, create: Create, level: str, own: list[str], kinds: str
) -> None:
    """The function's lines and Lambda's own are JSON, each from the level of its setting on."""
    code = """
import logging, os
def handle(event, context):
    logging.info("told")
    logging.warning("warned")
    if event.get("exit"):
        os._exit(1)
"""
    levels = {"ApplicationLogLevel": level, "SystemLogLevel": level}
    settings = {} if level == "INFO" else levels  # which is the default
    group = f"logs-{uuid.uuid4()}"
    logging = {"LogFormat": "JSON", "LogGroup": group, **settings}
    name = create(code=zipped({"app.py": code}), LoggingConfig=logging)
    shown = lambdas.get_function_configuration(FunctionName=name)["LoggingConfig"]
    assert shown == {**logging, **levels}
    invoke(lambdas, name)
    invoke(lambdas, name, exit=True)
    found = [json.loads(message) for message in messages(aws, group, "{")]
    assert len(found) == len(messages(aws, group, ""))
    assert [line["message"] for line in found if "message" in line] == own * 2
    system = [line for line in found if "type" in line]
    assert " ".join(line["type"].removeprefix("platform.") for line in system) == kinds
    assert system[-1]["record"]["errorType"] == "Runtime.ExitError"


def test_a_warm_process_serves_until_code_or_settings_change(lambdas: Any, create: Create) -> None:
    """The same process answers again; new code or a new setting starts another."""
    name = create()
    first = invoke(lambdas, name, do="started")["Document"]
    assert invoke(lambdas, name, do="started")["Document"] == first
    lambdas.update_function_configuration(FunctionName=name, Timeout=10)
    second = invoke(lambdas, name, do="started")["Document"]
    assert second != first
    lambdas.update_function_code(FunctionName=name, ZipFile=zipped({"app.py": APP + "\n# new\n"}))
    assert invoke(lambdas, name, do="started")["Document"] not in (first, second)


def test_a_client_context_travels_whatever_it_looks_like(lambdas: Any, create: Create) -> None:
    """Line ends and letters beyond Latin-1 in it reach the function; what is no JSON is refused."""
    request = {"FunctionName": create(), "Payload": b'{"do": "client context"}'}
    custom = {"custom": {"name": "Łódź\nand more"}}
    text = json.dumps(custom, ensure_ascii=False, indent=2)
    answer = lambdas.invoke(**request, ClientContext=base64.b64encode(text.encode()).decode())
    assert json.load(answer["Payload"]) == custom["custom"]
    with pytest.raises(ClientError, match="valid Base64-encoded JSON"):
        lambdas.invoke(**request, ClientContext="bm8=")


def test_an_event_that_breaks_a_worker_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    """What goes wrong with one asynchronous event is in the server's log, and the others run."""
    done: list[str] = []

    def run(job: Job) -> Any:
        if job.payload == b"bad":
            raise LookupError("no such function")
        done.append(job.request_id)
        return Invocation(job.request_id, "1", b"", None, "", "", "", Figures(0.0, None, None))

    queue = AsyncQueue(run, lambda _job, _done: None, lambda _: 0)
    for _ in range(8):
        queue.add(None, b"bad")
    good = queue.add(None, b"good")
    eventually(lambda: good in done)
    queue.close()
    assert eventually(lambda: capfd.readouterr().err.count("LookupError: no such function"))
    assert done == [good]


def test_a_crash_heals_and_others_go_on(lambdas: Any, create: Create) -> None:
    """A function that kills its process fails alone, and answers the next time."""
    name, other = create(), create()
    invoke(lambdas, other, do="x")
    assert invoke(lambdas, name, do="kill")["Document"]["errorType"] == "Runtime.ExitError"
    assert invoke(lambdas, name, do="x")["Document"] == {"do": "x"}
    assert invoke(lambdas, other, do="x")["Document"] == {"do": "x"}


def test_invocations_run_at_the_same_time(lambdas: Any, create: Create, tmp_path: Path) -> None:
    """Two callers do not wait for each other: each gets a process, and the two meet."""
    name = create()

    def call(_: int) -> Any:
        return invoke(lambdas, name, do="meet", here=str(tmp_path))

    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(call, range(2)))
    assert [answer.get("FunctionError") for answer in answers] == [None, None]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_function_reaches_the_embedded_aws_with_its_own_key(
    aws: LocalAws, lambdas: Any, create: Create
) -> None:
    """Functions are given the endpoint and a key that is not the caller's."""
    seen = invoke(lambdas, create(Environment={"Variables": {"MINE": "1"}}), do="environment")
    environment = seen["Document"]
    assert environment["AWS_ENDPOINT_URL"] == aws.endpoint
    assert environment["AWS_ACCESS_KEY_ID"] not in {"", "local", aws.access_key}
    assert aws.secret_key not in environment.values()
    assert environment["MINE"] == "1"


def test_versions_keep_their_code_and_say_so(lambdas: Any, create: Create) -> None:
    """A published version runs its own code under its own number; an alias leads to it."""
    name = create()
    lambdas.publish_version(FunctionName=name)
    lambdas.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    code = "def handle(event, context):\n    return 'new'\n"
    lambdas.update_function_code(FunctionName=name, ZipFile=zipped({"app.py": code}))
    assert invoke(lambdas, name, do="x")["Document"] == "new"
    for qualifier in ("1", "live"):
        answer = lambdas.invoke(FunctionName=name, Qualifier=qualifier, Payload=b'{"do":"context"}')
        assert answer["ExecutedVersion"] == "1"
        assert json.loads(answer["Payload"].read())[2] == "1"


def test_a_dry_run_runs_nothing(aws: LocalAws, lambdas: Any, create: Create) -> None:
    """InvocationType DryRun answers 204 and writes no log."""
    name = create()
    payload = b'{"do":"print","text":"never"}'
    answer = lambdas.invoke(FunctionName=name, InvocationType="DryRun", Payload=payload)
    assert answer["StatusCode"] == 204
    assert messages(aws, f"/aws/lambda/{name}", "never") == []


def test_a_payload_that_is_no_json_is_refused(lambdas: Any, create: Create) -> None:
    """Lambda takes JSON only, and says so."""
    with pytest.raises(ClientError, match="Could not parse request body into json") as refused:
        lambdas.invoke(FunctionName=create(), Payload=b"{not json")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_an_asynchronous_event_does_not_make_the_caller_wait(
    aws: LocalAws, lambdas: Any, create: Create, tmp_path: Path
) -> None:
    """InvocationType Event answers 202 while the function waits for what the caller does next."""
    name = create()
    event = json.dumps({"do": "meet", "here": str(tmp_path)})
    answer = lambdas.invoke(FunctionName=name, InvocationType="Event", Payload=event)
    assert answer["StatusCode"] == 202
    (tmp_path / "the caller").touch()
    eventually(lambda: messages(aws, f"/aws/lambda/{name}", "REPORT"))
    assert not messages(aws, f"/aws/lambda/{name}", "Task timed out")


def test_a_failing_event_is_retried_twice_and_becomes_a_dead_letter(
    aws: LocalAws, lambdas: Any, create: Create
) -> None:
    """Three attempts under one request id, then the event lies in the queue with its error."""
    arn, received = dead_letters(aws)
    name = create(DeadLetterConfig={"TargetArn": arn})
    event = b'{"do": "raise", "mark": "dead"}'
    lambdas.invoke(FunctionName=name, InvocationType="Event", Payload=event)
    (letter,) = eventually(received)
    assert letter["Body"].encode() == event
    said = {key: value["StringValue"] for key, value in letter["MessageAttributes"].items()}
    assert said["ErrorMessage"] == "a bad value: \u00e9"
    starts = messages(aws, f"/aws/lambda/{name}", "START RequestId")
    assert len(starts) == 3
    assert all(said["RequestID"] in start for start in starts)


def test_fewer_retries_can_be_set(aws: LocalAws, lambdas: Any, create: Create) -> None:
    """With MaximumRetryAttempts 0 the event is given up, as a dead letter, after its first run."""
    arn, received = dead_letters(aws)
    name = create(DeadLetterConfig={"TargetArn": arn})
    lambdas.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
    lambdas.invoke(FunctionName=name, InvocationType="Event", Payload=b'{"do":"raise"}')
    assert len(eventually(received)) == 1
    assert len(messages(aws, f"/aws/lambda/{name}", "REPORT")) == 1


def test_a_runtime_that_is_not_there_is_said(lambdas: Any, create: Create) -> None:
    """A Node function fails as Unhandled, naming what the embedded AWS was started with."""
    answer = invoke(lambdas, create(Runtime="nodejs22.x"), do="x")
    assert answer["FunctionError"] == "Unhandled"
    assert "nodejs22.x cannot run here" in answer["Document"]["errorMessage"]


def test_another_minor_is_used_with_a_note(aws: LocalAws, lambdas: Any, create: Create) -> None:
    """A Python runtime of another minor runs on the one that is there; the log says so."""
    name = create(Runtime="python3.10")
    assert invoke(lambdas, name, do="x")["Document"] == {"do": "x"}
    (note,) = messages(aws, f"/aws/lambda/{name}", "NOTE")
    assert f"ran on Python {MINOR}" in note


def post_form(url: str, fields: dict[str, str]) -> int:
    """Post a file to S3 as a web page would, and return the status."""
    body, kind = urllib3.encode_multipart_formdata({**fields, "file": ("name", b"posted")})
    headers = {"Content-Type": kind}
    return urllib3.request("POST", url, body=body, headers=headers, retries=False).status


def test_an_object_in_the_bucket_triggers_the_function(
    aws: LocalAws, lambdas: Any, create: Create
) -> None:
    """Each way to make an object sends one event with its own name, and filters apply."""
    s3 = client(aws, "s3")
    bucket = f"bucket-{uuid.uuid4()}"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    code = "import json\ndef handle(event, context):\n    print(json.dumps(event))\n"
    name = create(code=zipped({"app.py": code}))
    arn = lambdas.get_function_configuration(FunctionName=name)["FunctionArn"]
    rules = [{"Name": "prefix", "Value": "a+%C3%BC/"}, {"Name": "suffix", "Value": ".log"}]
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [
                {
                    "LambdaFunctionArn": arn,
                    "Events": ["s3:ObjectCreated:*", "s3:ObjectTagging:*"],
                    "Filter": {"Key": {"FilterRules": rules}},
                }
            ]
        },
    )
    for other in ("a \u00fc/other.txt", "b/other.log", "a+%C3%BC/other.log"):
        s3.put_object(Bucket=bucket, Key=other, Body=b"x")
    key = {"Bucket": bucket, "Key": "a \u00fc/1+.log"}
    version = s3.put_object(**key, Body=b"lines", Tagging="a=b")["VersionId"]
    form = s3.generate_presigned_post(**key)
    assert post_form(form["url"], form["fields"]) == 204
    stranger = {**form["fields"], "AWSAccessKeyId": "AKIAIOSFODNN7EXAMPLE"}
    assert [post_form(form["url"], fields) for fields in (stranger, {"key": "x"})] == [403, 403]
    s3.copy_object(**key, CopySource=key, MetadataDirective="REPLACE")
    for copied in ({}, {"CopySource": key}):
        upload = {**key, "UploadId": s3.create_multipart_upload(**key)["UploadId"]}
        if copied:
            part = s3.upload_part_copy(**upload, **copied, PartNumber=1)["CopyPartResult"]
        else:
            part = s3.upload_part(**upload, PartNumber=1, Body=b"part")
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        s3.complete_multipart_upload(**upload, MultipartUpload=parts)
    s3.put_object_tagging(**key, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})

    def told() -> list[Any]:
        found = messages(aws, f"/aws/lambda/{name}", "Records")
        records = [json.loads(message)["Records"][0] for message in found]
        return sorted(records, key=lambda record: str(record["s3"]["object"]["sequencer"]))

    eventually(lambda: len(told()) > 5 and told()[-1]["eventName"] == "ObjectTagging:Put")
    assert [record["eventName"] for record in told()] == [
        "ObjectCreated:Put",
        "ObjectCreated:Post",
        "ObjectCreated:Copy",
        "ObjectCreated:CompleteMultipartUpload",
        "ObjectCreated:CompleteMultipartUpload",
        "ObjectTagging:Put",
    ]
    stored = told()[0]["s3"]
    assert stored["bucket"]["name"] == bucket
    assert stored["object"]["key"] == "a+%C3%BC/1%2B.log"
    assert stored["object"]["versionId"] == version
    assert stored["object"]["size"] == 5


def test_what_the_embedded_aws_lacks_is_said_in_words(aws: LocalAws) -> None:
    """An unknown call, and one that fails inside moto, are AWS errors a person can read."""
    with pytest.raises(ClientError, match=r"does not know lambda GET .*account-settings"):
        client(aws, "lambda").get_account_settings()
    with pytest.raises(ClientError, match="The embedded AWS failed on this call"):
        client(aws, "cloudformation").create_stack(StackName="broken", TemplateBody="Resources: {")
