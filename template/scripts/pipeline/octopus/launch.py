"""Running an unpacked package on this machine as an Octopus worker does.

The script starts in a bare Python: without site-packages, with only those environment variables
that any program needs, and with the AWS credentials given. Its service messages become events.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..core.errors import Conflict, Interrupted, NotTheSame, PipelineError, UsageError
from ..core.events import Achieved, Artifact, Output, Progressed, Reporter
from ..core.masking import MASK
from ..core.names import DEPLOY_SCRIPT
from ..deploy.aws_session import Credentials
from ..edge.shell import NOTHING_REAL, stream

_KINDS: tuple[type[PipelineError], ...] = (UsageError, NotTheSame, Conflict, Interrupted)
_KEPT = (
    "PATH", "HOME", "USERPROFILE", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TEMP", "TMP",
    "SYSTEMROOT", "WINDIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy",
    "no_proxy", "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL",
)  # fmt: skip
_LAST_LINES = 20
_WHOLE = 100
_MARK = "##octopus["


@dataclass(frozen=True)
class Job:
    """A deploy to run: the unpacked package, the Python that stands for the worker's, its inputs.

    `environ` is where the few variables that any program needs are taken from, AWS's endpoint
    among them. `parameters` are the script parameters of a "Run a script" step.
    """

    package: Path
    python: Path
    variables: Mapping[str, str] = field(repr=False)
    credentials: Credentials
    environ: Mapping[str, str] = field(repr=False)
    parameters: tuple[str, ...] = ()


def worker_variables(environment: str, release: str, values: Mapping[str, str]) -> dict[str, str]:
    """Return the Octopus variables of a deploy outside Octopus; `values` are all other ones."""
    return {
        **values,
        "Octopus.Environment.Name": environment,
        "Octopus.Release.Number": release,
    }


def launch(job: Job, reporter: Reporter) -> None:
    """Run the package's deploy script; pass on its lines and messages as they come.

    Raises the kind of PipelineError that its exit code means, with the script's result message
    or its last lines.
    """
    listener = _Listener(reporter)
    bootstrap = Path(__file__).with_name("worker_globals.py")
    key = secrets.token_hex(32).upper()
    bare_python: tuple[str | Path, ...] = (job.python, "-I", "-S", "-u")
    command = (*bare_python, bootstrap, DEPLOY_SCRIPT, *job.parameters, key)
    # Standard input keeps the secrets off the command line and the disk.
    stdin = json.dumps(dict(job.variables)).encode()
    code = stream(
        command, listener.take, cwd=job.package, env=_environment(job), stdin=stdin, patient=True
    )
    if code:
        raise listener.error(code)


def _environment(job: Job) -> dict[str, str]:
    kept = {name: job.environ[name] for name in _KEPT if name in job.environ}
    # A worker has no profile, config file or instance role of this machine.
    return {**kept, **NOTHING_REAL, **job.credentials.as_environment()}


@dataclass
class _Listener:
    """The output of a script so far: the current category, its result, its last lines."""

    reporter: Reporter
    category: str = "default"
    result: str = ""
    last: list[str] = field(default_factory=list)

    def take(self, line: str, is_error: bool) -> None:
        """Pass on a line of the script."""
        text, message = (line, None) if is_error else parse(line)
        if text or message is None:
            self._line(text, is_error=is_error)
        if message is not None:
            self._message(message)

    def error(self, code: int) -> PipelineError:
        """Return the error for an exit code."""
        kind = next((kind for kind in _KINDS if kind.exit_code == code), PipelineError)
        where, separator, rest = self.result.partition(": ")
        if separator:
            what, _, then = rest.rpartition("\n")
            return kind(where, what, then) if what else kind(where, rest)
        tail = "\n".join(self.last[-_LAST_LINES:])
        return kind(DEPLOY_SCRIPT, self.result or f"it ended with exit code {code}", tail)

    def _line(self, text: str, *, is_error: bool) -> None:
        self.last.append(text)
        # Messages are on the other stream, which may be read sooner or later than errors are.
        category = "" if is_error else self.category
        if category == "highlight":
            self.reporter.emit(Achieved(text))
            return
        if category == "warning":
            self.reporter.warn(text.removeprefix("warning: "))
            return
        # After its result the script repeats it for readers of Octopus's log; here the caller
        # shows the error that has it.
        verbose = category == "verbose" or (bool(self.result) and not is_error)
        self.reporter.line(text, verbose=verbose)

    def _message(self, message: Message) -> None:
        name, attributes = message.name, message.attributes
        if name.startswith("stdout-"):
            self.category = name.removeprefix("stdout-")
        elif name == "setVariable":
            value = MASK if attributes.get("sensitive") == "True" else attributes.get("value", "")
            self.reporter.emit(Output(attributes.get("name", ""), value))
        elif name == "createArtifact":
            self.reporter.emit(Artifact(attributes.get("path", "")))
        elif name == "progress":
            percent = attributes.get("percentage", "")
            done = int(percent) if re.fullmatch("[0-9]{1,3}", percent) else 0
            self.reporter.emit(Progressed("deploy", attributes.get("message", ""), done, _WHOLE))
        elif name == "resultMessage":
            self.result = attributes.get("message", "")


@dataclass(frozen=True)
class Message:
    """A service message with its decoded attributes."""

    name: str
    attributes: Mapping[str, str] = field(default_factory=dict)


def parse(line: str) -> tuple[str, Message | None]:
    """Split a line into its plain text and the message in it, by Octopus's own parser's rules.

    A message starts at `##octopus[` anywhere in a line and ends at the first `]`; between them are
    the name and attributes of an XML element, every value in base64. Anything else is plain text.
    """
    start = line.find(_MARK)
    end = line.find("]", start)
    if start < 0 or end < 0:
        return line, None
    try:
        # Inside an element there can be no document type, and so no entities that expand.
        element = ET.fromstring(f"<{line[start + len(_MARK) : end]}/>")  # noqa: S314
        attributes = {
            name: base64.b64decode(value, validate=True).decode("utf-8")
            for name, value in element.attrib.items()
        }
    except (ET.ParseError, ValueError):
        return line, None
    return line[:start] + line[end + 1 :], Message(element.tag, attributes)
