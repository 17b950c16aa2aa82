from __future__ import annotations

import http.client
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from pipeline.local.state import LocalAws

from tests.local.local_support import client

_STS = "Action=GetCallerIdentity&Version=2011-06-15"


def status(aws: LocalAws, headers: dict[str, str], path: str = "/") -> int:
    """Send a raw request and return the status."""
    port = urlsplit(aws.endpoint).port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    connection.request("POST", path, _STS, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def signed(aws: LocalAws, service: str = "sts") -> dict[str, str]:
    """Return the header that carries the access key."""
    credential = f"{aws.access_key}/20260101/{aws.region}/{service}/aws4_request"
    return {"Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, Signature=0"}


def test_the_key_of_this_start_is_let_through(aws: LocalAws) -> None:
    """Endpoint, access key and secret key of the state file are all a client needs."""
    identity = client(aws, "sts").get_caller_identity()
    assert identity["Account"] == "123456789012"
    assert status(aws, signed(aws)) == 200
    assert status(aws, {**signed(aws), "Content-Type": "multipart/form-data"}) != 403


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("lambda", "list_functions", "UnrecognizedClientException"),
        ("s3", "list_buckets", "InvalidAccessKeyId"),
        ("sqs", "list_queues", "UnrecognizedClientException"),
        ("sts", "get_caller_identity", "UnrecognizedClientException"),
        ("cloudformation", "list_stacks", "UnrecognizedClientException"),
        ("cloudwatch", "describe_alarms", "UnrecognizedClientException"),
        ("logs", "describe_log_groups", "UnrecognizedClientException"),
    ],
)
def test_any_other_key_is_refused(aws: LocalAws, service: str, operation: str, code: str) -> None:
    """Another access key gets 403 in the service's own protocol, and a hint where the key is."""
    stranger = client(replace(aws, access_key="AKIAIOSFODNN7EXAMPLE"), service)
    with pytest.raises(ClientError) as refused:
        getattr(stranger, operation)()
    answer = refused.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert answer["Error"]["Code"] == code
    assert "real ones are never taken" in answer["Error"]["Message"]


@pytest.mark.parametrize("path", ["/", "/moto-api/reset", "/_pipeline/stop", "/_pipeline/alive"])
def test_unsigned_requests_are_refused(aws: LocalAws, path: str) -> None:
    """Without a key nothing is answered, moto's own administration included."""
    assert status(aws, {}, path) == 403


def test_a_web_page_is_refused_with_the_right_key_too(aws: LocalAws) -> None:
    """An Origin header, or a foreign or missing Host, is refused whatever the key."""
    assert status(aws, {**signed(aws), "Origin": "http://localhost"}) == 403
    assert status(aws, {**signed(aws), "Host": "evil.example"}) == 403
    assert status(aws, {**signed(aws), "Host": "127.0.0.1"}) == 403
    port = urlsplit(aws.endpoint).port
    assert status(aws, {**signed(aws), "Host": f"localhost:{port}"}) == 200


def test_it_listens_on_the_loopback_interface_only(aws: LocalAws) -> None:
    """No socket of the server is bound to any other address."""
    port = f"{urlsplit(aws.endpoint).port:04X}"
    lines = Path(f"/proc/{aws.pid}/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    listening = [line.split()[1] for line in lines if line.split()[3] == "0A"]
    assert [address for address in listening if address.endswith(f":{port}")] == [
        f"0100007F:{port}"
    ]


def test_a_presigned_address_works_with_the_right_key(aws: LocalAws) -> None:
    """A presigned S3 address carries the key in its query, and is let through."""
    s3 = client(aws, "s3")
    s3.create_bucket(Bucket="presigned")
    s3.put_object(Bucket="presigned", Key="key", Body=b"stored")
    address = s3.generate_presigned_url("get_object", Params={"Bucket": "presigned", "Key": "key"})
    parts = urlsplit(address)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=60)
    connection.request("GET", f"{parts.path}?{parts.query}")
    assert connection.getresponse().read() == b"stored"
    connection.close()
