"""Small functions, zips and stacks for the tests of the local runtime and the embedded AWS."""

from __future__ import annotations

import io
import json
import os
import sys
import time
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError
from pipeline.core.events import Event, Finished, Line, Reporter, Warned
from pipeline.local.state import LocalAws
from pipeline.runtime.function_code import FunctionConfig
from pipeline.runtime.function_process import FunctionProcess
from pipeline.runtime.invocation import Invocation

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
CONFIG = FunctionConfig("fn", timeout=60, runtime=f"python{MINOR}")
ROLE = "arn:aws:iam::123456789012:role/function"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)
# One function that does what its event says, so that one zip serves every case.
APP = """\
import json, logging, os, sys, time

logging.getLogger().setLevel("INFO")
STARTED = time.monotonic_ns()


def inner():
    raise ValueError("a bad value: \\N{LATIN SMALL LETTER E WITH ACUTE}")


def handle(event, context):
    do = event.get("do") if isinstance(event, dict) else None
    if do == "raise":
        inner()
    if do == "recurse":
        handle(event, context)
    if do == "exit":
        sys.exit(3)
    if do == "quiet exit":
        os._exit(0)
    if do == "kill":
        os.kill(os.getpid(), 9)
    if do == "sleep":
        print("before sleep")
        time.sleep(60)
    if do == "pause":
        time.sleep(event["seconds"])
    if do == "meet":
        open(os.path.join(event["here"], str(os.getpid())), "w").close()
        while len(os.listdir(event["here"])) < 2:
            time.sleep(0.005)
    if do == "unserialisable":
        return {1, 2}
    if do == "large":
        return "x" * event["size"]
    if do == "environment":
        return dict(os.environ)
    if do == "path":
        return sys.path
    if do == "print":
        print(event["text"])
    if do == "log":
        logging.info(event["text"])
    if do == "import":
        return __import__(event["name"]).__file__
    if do == "started":
        return [STARTED, os.getpid()]
    if do == "left":
        return context.get_remaining_time_in_millis()
    if do == "context":
        return [context.aws_request_id, context.invoked_function_arn, context.function_version]
    if do == "client context":
        return context.client_context.custom
    if do == "child":
        import subprocess
        return subprocess.Popen(["sleep", "300"]).pid
    if do == "write":
        with open(os.path.join(os.environ["TMPDIR"], "file"), "w") as file:
            return file.write("text")
    return event
"""


@cache
def client(aws: LocalAws, service: str) -> Any:
    """Return a client, made once; all share the one session that has read a service's model."""
    return _session().create_client(
        service,
        region_name=aws.region,
        endpoint_url=aws.endpoint,
        aws_access_key_id=aws.access_key,
        aws_secret_access_key=aws.secret_key,
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )


@cache
def _session() -> botocore.session.Session:
    return botocore.session.Session()


def function_process(aws: LocalAws) -> int:
    """Create a function, invoke it, and return the id of its process."""
    client(aws, "iam").create_role(RoleName="function", AssumeRolePolicyDocument=TRUST)
    lambdas = client(aws, "lambda")
    request: dict[str, Any] = {"FunctionName": "fn", "Role": ROLE, "Handler": "app.handle"}
    code = {"ZipFile": zipped({"app.py": APP})}
    lambdas.create_function(**request, Runtime=f"python{MINOR}", Code=code)
    active = lambdas.get_waiter("function_active_v2")
    active.wait(FunctionName="fn", WaiterConfig={"Delay": 0})
    answer = lambdas.invoke(FunctionName="fn", Payload=b'{"do":"started"}')
    return int(json.loads(answer["Payload"].read())[1])


def zipped(files: Mapping[str, str], *, mode: int = 0o644) -> bytes:
    """Return a zip of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            info.external_attr = (0o100000 | mode) << 16
            archive.writestr(info, text)
    return buffer.getvalue()


def unreadable_aws(home: Path) -> dict[str, str]:
    """Return a user's environment with AWS settings in it, and files that cannot be parsed.

    botocore fails when it reads them, and with a profile that they do not have.
    """
    files = written(home, {".aws/config": "no ini file", ".aws/credentials": "no ini file"})
    return {
        **os.environ,
        "HOME": str(files),
        "USERPROFILE": str(files),
        "AWS_PROFILE": "nobody",
        "AWS_CONFIG_FILE": str(files / ".aws" / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(files / ".aws" / "credentials"),
        "AWS_ACCESS_KEY_ID": "the user's own",
        "AWS_SECRET_ACCESS_KEY": "the user's own",
    }


def written(folder: Path, files: Mapping[str, str]) -> Path:
    """Write these files below `folder` and return it."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def eventually(found: Callable[[], Any], seconds: float = 120.0) -> Any:
    """Ask until there is something, and return it; fail when there is nothing in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.02)
    message = f"nothing came within {seconds} s"
    raise AssertionError(message)


def messages(aws: LocalAws, group: str, text: str) -> list[str]:
    """Return the log events of a group that hold this text."""
    logs = client(aws, "logs")
    try:
        events = logs.filter_log_events(logGroupName=group)["events"]
    except ClientError:
        return []
    return [event["message"] for event in events if text in event["message"]]


def alive(pid: int) -> bool:
    """Whether a process runs: a zombie does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


def invoke(process: FunctionProcess, **event: Any) -> Invocation:
    """Invoke with a JSON object."""
    return process.invoke(json.dumps(event).encode())


def answer(process: FunctionProcess, **event: Any) -> Any:
    """Invoke and return the decoded answer."""
    done = invoke(process, **event)
    assert done.error is None, done.log
    return json.loads(done.payload)


class Seen:
    """A sink that keeps what verbs say."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.reporter = Reporter(self.events.append)

    def lines(self) -> list[str]:
        """Return the lines and warnings."""
        return [event.text for event in self.events if isinstance(event, Line | Warned)]

    def finished(self) -> list[str]:
        """Return what the stages achieved."""
        return [event.text for event in self.events if isinstance(event, Finished)]
