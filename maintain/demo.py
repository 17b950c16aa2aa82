"""`demo`: the whole way of a function, from questions to lines on a socket, on this machine."""

from __future__ import annotations

import json
import re
import shlex
import socket
import tempfile
import textwrap
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.core.errors import PipelineError
from pipeline.core.events import Reporter
from pipeline.core.manifest import MANIFEST_NAME
from pipeline.edge.machine import utc_now
from pipeline.report.terminal import fitted
from pipeline.zip.reader import members_of, open_archive
from pipeline.zip.writer import Member, compress, plain, write_zip

from .elb_log import classic_log
from .generated import Generated, generate
from .listener import Listener, listening

_MADE = "Make an environment from nothing; a log put into it arrives"
_GONE = "Take that environment away again, with everything in it"
_ARRIVAL_SECONDS = 60.0
_INDENT, _WIDTH = " ", 79
_wrap = partial(textwrap.wrap, width=_WIDTH, break_long_words=False, break_on_hyphens=False)
_FUNCTION, _TEMPORARY = "local-ElbLogsProcessor", "test-1"
_LIVE = {"FunctionName": _FUNCTION, "Name": "live"}
_KEY = "AWSLogs/123456789012/elasticloadbalancing/demo balancer.log"
# The second release: each line says whose the balancer is.
_MEMBER = '"Team": "shop",'
# It ends as soon as 20 calls of the new version are seen; the time is for slow machines.
_CANARY, _BETWEEN_LOOKS, _BETWEEN_CALLS = "canary:50:20s", 0.2, 0.02


@dataclass
class Step:
    """A step that was shown: how long it took, and the version that `live` leads to after it.

    `shipped` are the lines that arrived in it.
    """

    title: str
    seconds: float = 0.0
    version: str = ""
    shipped: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Language:
    """The answers that choose a language, and how a manifest's handler is misspelt in it.

    The second release has one line more in the file `changed`, before the line `before`.
    """

    answers: Mapping[str, str]
    misspelt: tuple[tuple[bytes, bytes], ...]
    changed: str
    before: str


LANGUAGES = {
    "python": Language(
        {},
        ((b".handler.handle", b".handel.handle"), (b"/handler.py", b"/handel.py")),
        "src/elb_logs_processor/shipping.py",
        '        "type": settings.type,\n',
    ),
    "node": Language(
        {"runtime": "nodejs24.x"},
        ((b'"index.handler"', b'"indeks.handler"'), (b'"index.mjs"', b'"indeks.mjs"')),
        "src/shipping.mjs",
        "    type: settings.type,\n",
    ),
}


@dataclass
class _Demo:
    """A demo under way: the repository, its listener, and what was shown so far."""

    repository: Generated
    listener: Listener
    reporter: Reporter
    language: Language
    steps: list[Step] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Announce a step, time it, and look where it has left traffic."""
        step = Step(title)
        self.reporter.line(f"\n{len(self.steps) + 1}. {title}")
        start = self.reporter.seconds()
        yield step
        step.seconds = round(self.reporter.seconds() - start, 1)
        if self._state.is_file():
            step.version = self.client("lambda").get_alias(**_LIVE)["FunctionVersion"]
        self.steps.append(step)

    def say(self, text: str) -> None:
        """Show a text below the step's title, in 80 columns."""
        for line in fitted(text, _WIDTH).splitlines():
            # Prose, which a terminal would break within a word.
            start = " " * (len(line) - len(line.lstrip()) + 2)
            for part in _wrap(line, subsequent_indent=start) if len(line) > _WIDTH else [line]:
                self.reporter.line(f"{_INDENT}{part}".rstrip())

    def verb(self, *words: str, expect: int = 0, since: str = "", port: int = 0) -> None:
        """Run a verb of the repository; another exit code than expected ends the demo.

        With `since` its lines are shown from the first one that starts so.
        """
        self.say(f"$ python3 tasks.py {shlex.join(words)}")
        left_out: list[str] = []
        is_shown = not since

        def show(line: str) -> None:
            nonlocal is_shown
            if not is_shown and line.startswith(since):
                is_shown = True
                self.say(f"... {len(left_out)} lines, of the same kind as above")
            if is_shown:
                self.say(line)
            else:
                left_out.append(line)

        extra = {"LOGSTASH_PORT": str(port or self.listener.port)}
        code = self.repository.verb(*words, show=show, extra=extra)
        if code != expect:
            for line in () if is_shown else left_out:
                self.say(line)
            raise PipelineError(
                "demo",
                f"`{' '.join(words)}` ended with exit code {code}, not {expect}",
                "The lines above say why.",
            )

    def client(self, service: str) -> Any:
        """Return a client of the repository's embedded AWS."""
        import boto3  # noqa: PLC0415 - slow to import

        state = json.loads(self._state.read_text(encoding="utf-8"))
        make: Any = boto3.client
        return make(
            service,
            endpoint_url=state["endpoint"],
            region_name=state["region"],
            aws_access_key_id=state["access_key"],
            aws_secret_access_key=state["secret_key"],
        )

    @property
    def _state(self) -> Path:
        return self.repository.root / ".pipeline" / "local" / "state.json"


def run_demo(template: Path, reporter: Reporter, language: Language) -> dict[str, Any]:
    """Run the demo in a temporary folder; everything it started and wrote is gone at the end.

    Returns its steps, and the calls that came while a canary was tried: how many ran in which
    version, and how many of those failed.
    """
    with (
        tempfile.TemporaryDirectory(prefix="copier lambda demo ") as folder,
        listening() as listener,
    ):
        demo = _Demo(Generated(Path(folder) / "elb logs"), listener, reporter, language)
        try:
            _generate_and_build(demo, template)
            _deploy_and_trigger(demo)
            _try_and_go_back(demo)
            _fail(demo)
        finally:
            if (demo.repository.root / ".pipeline" / "local").is_dir():
                demo.repository.verb("local.stop", show=demo.say)
        _summarise(demo)
        return {"steps": [asdict(step) for step in demo.steps], "calls": dict(demo.calls)}


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
        demo.say(f"{root}: {count} files, committed")
    with demo.step("Build the versioned package"):
        demo.verb("build")
    with demo.step("Look into the package"):
        demo.verb("inspect")


def _deploy_and_trigger(demo: _Demo) -> None:
    with demo.step(_MADE) as step:
        demo.verb("env.create", _TEMPORARY, "--local", "--expires", "8h")
        _ship(demo, step, _FUNCTION.replace("local", _TEMPORARY), show=6)
    with demo.step(_GONE):
        demo.verb("env.list", "--local")
        demo.verb("env.delete", _TEMPORARY, "--local")
    with demo.step("Deploy by the package's own script to one that stays; the same log") as step:
        demo.verb("deploy", "local", since="  upload ")
        _ship(demo, step)


def _try_and_go_back(demo: _Demo) -> None:
    with demo.step("Change the function, try it on half of the calls: it goes wrong"):
        changed, before = demo.language.changed, demo.language.before
        path = demo.repository.root / changed
        added = f"{before[: len(before) - len(before.lstrip())]}{_MEMBER}\n{before}"
        path.write_text(path.read_text(encoding="utf-8").replace(before, added), encoding="utf-8")
        demo.repository.commit("Say whose the balancer is")
        demo.say(f"{changed}: + {_MEMBER}")
        demo.say("and a port of Logstash where nobody listens: tests cannot know that")
        with _nobody() as port, _calling(demo):
            demo.verb("package", since="build-output/")
            demo.verb(
                "deploy", "local", "--strategy", _CANARY, expect=1, since="  files ", port=port
            )
        failed, all_of_them = demo.calls["failed"], demo.calls.total()
        demo.say(f"{failed} of {all_of_them} calls failed meanwhile")
    with demo.step("Deploy that release with the right port; the same log again") as step:
        demo.verb("deploy", "local", since="  files ")
        _ship(demo, step)
    with demo.step("Roll back to the first release; the same log again") as step:
        demo.verb("rollback", "local", "--reason", "only to show it")
        then = utc_now()
        _ship(demo, step)
    with demo.step("See what serves, and what the function has logged"):
        demo.verb("status", "local")
        demo.verb("logs", "local", "--since", f"{then:%Y-%m-%dT%H:%M:%S}")


@contextmanager
def _nobody() -> Iterator[int]:
    """Hold a port on which nobody listens while the block runs."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def _is_split(functions: Any) -> bool:
    routing = functions.get_alias(**_LIVE).get("RoutingConfig") or {}
    return bool(routing.get("AdditionalVersionWeights"))


@contextmanager
def _calling(demo: _Demo) -> Iterator[None]:
    """Call the function again and again while a canary is tried in the block."""
    functions, ended = demo.client("lambda"), threading.Event()
    bucket = _bucket(demo, _FUNCTION)
    entity = {"bucket": {"name": bucket}, "object": {"key": _KEY.replace(" ", "+")}}
    event = json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": entity}]})

    def call() -> None:
        while not (_is_split(functions) or ended.wait(_BETWEEN_LOOKS)):
            continue
        while not ended.wait(_BETWEEN_CALLS):
            answer = functions.invoke(FunctionName=f"{_FUNCTION}:live", Payload=event)
            demo.calls["failed" if "FunctionError" in answer else "answered"] += 1

    caller = threading.Thread(target=call)
    caller.start()
    try:
        yield
    finally:
        ended.set()
        caller.join()


def _bucket(demo: _Demo, stack: str) -> str:
    (found,) = demo.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in found["Outputs"]}
    return str(outputs["BucketName"])


def _ship(demo: _Demo, step: Step, stack: str = _FUNCTION, show: int = 2) -> None:
    """Put a log into a stack's bucket as the balancer would, and wait for its lines."""
    listener, log = demo.listener, classic_log(utc_now())
    lines = log.splitlines()
    objects, bucket = demo.client("s3"), _bucket(demo, stack)
    with listener.arrived:
        listener.records.clear()
    objects.put_object(Bucket=bucket, Key=_KEY, Body=log.encode())
    if not listener.wait_for(len(lines), _ARRIVAL_SECONDS):
        raise PipelineError(
            "demo",
            f"{len(listener.records)} of {len(lines)} lines arrived",
            "Run `python3 tasks.py demo --verbose`.",
        )
    step.shipped = list(listener.records)
    _check(lines, step.shipped)
    demo.say(f"s3://{bucket}/{Path(_KEY).name}: {len(lines)} lines put, and the same arrived")
    for record in step.shipped[:show]:
        demo.say(_picture(record))


def _fail(demo: _Demo) -> None:
    with demo.step("Deploy a package whose handler is missing, and read what is said"):
        output = demo.repository.root / "build-output"
        latest = json.loads((output / "latest.json").read_text(encoding="utf-8"))
        package = demo.repository.root / latest["package"]
        _misspell(package, output / "misspelt.nupkg", demo.language)
        demo.say("No build makes one, so this is a copy with another manifest in it.")
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
    team = f"Team {record['Team']}" if "Team" in record else ""
    return f"{record['@timestamp']}  {request} {record['Status']}  {taken:<10} {team}"


def _summarise(demo: _Demo) -> None:
    say = demo.reporter.line
    say("\nWhat you saw")
    for number, step in enumerate(demo.steps, 1):
        say(f"  {number:>2}. {step.title:<66}{step.seconds:5.1f} s")
    seconds = {step.title: step.seconds for step in demo.steps}
    say(
        f"\nAn environment was made, from nothing to a log that arrived, in {seconds[_MADE]} s,\n"
        f"and nothing was left of it after {seconds[_GONE]} s.\n"
        "The bytes that were built are the bytes that ran: the deploy script inside the\n"
        "package checked the function zip against the manifest, and AWS's answer against\n"
        "both. A bad release was tried on half of the calls and taken back by its errors,\n"
        "and the way back took one call of AWS.\n"
        "The folder, the embedded AWS and the function's processes are gone; downloaded\n"
        "packages stay in your cache.\n"
        "Your own repository: copier copy URL-OF-THIS-TEMPLATE my-function"
    )
