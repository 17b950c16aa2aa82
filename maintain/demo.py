"""`demo`: the whole way of a function, from questions to lines on a socket, on this machine."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.core.errors import PipelineError
from pipeline.core.events import Reporter
from pipeline.core.manifest import MANIFEST_NAME
from pipeline.edge.machine import utc_now
from pipeline.zip.reader import members_of, open_archive
from pipeline.zip.writer import Member, compress, plain, write_zip

from .elb_log import classic_log
from .generated import Generated, generate
from .listener import Listener, listening

_ARRIVAL_SECONDS = 60.0
_SOURCE = "the demo's own log"


@dataclass(frozen=True)
class Language:
    """The answers that choose a language, and how a manifest's handler is misspelt in it."""

    answers: Mapping[str, str]
    misspelt: tuple[tuple[bytes, bytes], ...]


LANGUAGES = {
    "python": Language(
        {}, ((b".handler.handle", b".handel.handle"), (b"/handler.py", b"/handel.py"))
    ),
    "node": Language(
        {"runtime": "nodejs24.x"},
        ((b'"index.handler"', b'"indeks.handler"'), (b'"index.mjs"', b'"indeks.mjs"')),
    ),
}


@dataclass
class _Demo:
    """A demo under way: the repository, and how long each step took."""

    repository: Generated
    reporter: Reporter
    port: int
    language: Language
    steps: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Announce a step and time it."""
        self.reporter.line(f"\n{len(self.steps) + 1}. {title}")
        start = self.reporter.seconds()
        yield
        self.steps.append((title, self.reporter.seconds() - start))

    def verb(self, *words: str, expect: int = 0) -> None:
        """Run a verb of the repository, its lines indented; another exit code ends the demo."""
        self.reporter.line(f"   $ python3 tasks.py {' '.join(words)}")
        extra = {"LOGSTASH_PORT": str(self.port)}
        code = self.repository.verb(
            *words, show=lambda line: self.reporter.line(f"   {line}"), extra=extra
        )
        if code != expect:
            raise PipelineError(
                "demo",
                f"`{' '.join(words)}` ended with exit code {code}, not {expect}",
                "The lines above say why.",
            )


def run_demo(template: Path, reporter: Reporter, language: Language) -> None:
    """Run the demo in a temporary folder; everything it started and wrote is gone at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="copier lambda demo ") as folder,
        listening() as listener,
    ):
        demo = _Demo(Generated(Path(folder) / "elb logs"), reporter, listener.port, language)
        try:
            _generate_and_build(demo, template)
            _deploy_and_trigger(demo, listener)
            _fail(demo)
        finally:
            if (demo.repository.root / ".pipeline" / "local").is_dir():
                demo.repository.verb("local.stop", show=lambda line: reporter.line(f"   {line}"))
        _summarise(demo)


def _generate_and_build(demo: _Demo, template: Path) -> None:
    root = demo.repository.root
    with demo.step("Generate a repository with the defaults"):
        answers = {"permanent_environments": "CI, Staging, Production", **demo.language.answers}
        generate(template, root, answers)
        settings = root / "pyproject.toml"
        # The listener's port is free, not fixed: it comes from the process environment here.
        text = settings.read_text(encoding="utf-8")
        settings.write_text(
            re.sub(r'^"Logstash\.Port" =.*\n', "", text, flags=re.MULTILINE),
            encoding="utf-8",
        )
        demo.repository.commit("Generated from the template")
        count = sum(1 for path in root.rglob("*") if path.is_file() and ".git" not in path.parts)
        demo.reporter.line(f"   {root}: {count} files, committed")
    with demo.step("Build the versioned package"):
        demo.verb("build")
    with demo.step("Look into the package"):
        demo.verb("inspect")


def _deploy_and_trigger(demo: _Demo, listener: Listener) -> None:
    with demo.step("Start the embedded AWS and make the function's stack in it"):
        demo.verb("local.start")
    with demo.step("Deploy the package with its own deploy script"):
        demo.verb("deploy", "local")
    log = classic_log(utc_now())
    with demo.step("Put a load balancer log into the bucket; the function ships its lines"):
        bucket = _put(demo.repository.root, log)
        lines = log.splitlines()
        demo.reporter.line(
            f"   {len(lines)} lines into {bucket}; waiting for them on port {listener.port} ..."
        )
        if not listener.wait_for(len(lines), _ARRIVAL_SECONDS):
            raise PipelineError(
                "demo",
                f"{len(listener.records)} of {len(lines)} lines arrived",
                "Run `python3 tasks.py demo --verbose`.",
            )
        _check(lines, listener.records)
        for record in listener.records:
            demo.reporter.line(f"   {_picture(record)}")
        demo.reporter.line(f"   all {len(lines)} lines arrived, each the same as in {_SOURCE}")


def _fail(demo: _Demo) -> None:
    with demo.step("Deploy a package whose handler is missing, and read what is said"):
        output = demo.repository.root / "build-output"
        latest = json.loads((output / "latest.json").read_text(encoding="utf-8"))
        package = demo.repository.root / latest["package"]
        _misspell(package, output / "misspelt.nupkg", demo.language)
        demo.reporter.line("   No build makes one, so this is a copy with another manifest in it.")
        demo.verb("deploy", "local", "--package", "build-output/misspelt.nupkg", expect=1)


def _misspell(package: Path, copy: Path, language: Language) -> None:
    """Copy a package whose manifest names a handler that the function does not have."""
    archive = open_archive(package)
    members = {member.name: member for member in members_of(archive)}
    manifest = plain(members[MANIFEST_NAME].payload)
    for right, wrong in language.misspelt:
        manifest = manifest.replace(right, wrong)
    members[MANIFEST_NAME] = Member(MANIFEST_NAME, 0o644, compress(manifest))
    write_zip(copy, members.values())


def _put(root: Path, log: str) -> str:
    """Put the log as the load balancer would, and return where it is."""
    import boto3  # noqa: PLC0415 - slow to import

    state = json.loads((root / ".pipeline" / "local" / "state.json").read_text(encoding="utf-8"))
    client = boto3.client(
        "s3",
        endpoint_url=state["endpoint"],
        region_name=state["region"],
        aws_access_key_id=state["access_key"],
        aws_secret_access_key=state["secret_key"],
    )
    bucket = client.list_buckets()["Buckets"][0]["Name"]
    key = "AWSLogs/123456789012/elasticloadbalancing/demo balancer.log"
    client.put_object(Bucket=bucket, Key=key, Body=log.encode())
    return f"s3://{bucket}/{key}"


def _check(lines: list[str], records: list[dict[str, Any]]) -> None:
    received = sorted(record["message"] for record in records)
    if received != sorted(lines) or not all("@timestamp" in record for record in records):
        raise PipelineError(
            "demo",
            "the lines that arrived are not those of the file",
            "This is a bug of the function.",
        )


def _picture(record: dict[str, Any]) -> str:
    taken = f"{record['TimeTaken']} ms" if "TimeTaken" in record else "no answer"
    request = f"{record['Verb']:<5} {record['Path']:<18}"
    return f"{record['@timestamp']}  {request} {record['Status']}  {taken}"


def _summarise(demo: _Demo) -> None:
    say = demo.reporter.line
    say("\nWhat you saw")
    for number, (title, seconds) in enumerate(demo.steps, 1):
        say(f"  {number}. {title:<72}{seconds:6.1f} s")
    say(
        "\nThe bytes that were built are the bytes that ran: the deploy script inside the\n"
        "package checked the function zip against the manifest, and AWS's answer against\n"
        "both. The folder, the embedded AWS and the function's processes are gone;\n"
        "downloaded packages stay in your cache.\n"
        "Your own repository: copier copy URL-OF-THIS-TEMPLATE my-function"
    )
