"""The handler, loaded by AWS's own runtime client: it waits for events, or says what failed."""

from __future__ import annotations

import json
import re
import tempfile
import time
from pathlib import Path

from ...core.masking import masked_text
from ...edge.machine import Machine
from ...project.project import FROM_RUNTIME, Project
from ...runtime.api import Kind, ProcessEvent
from ...runtime.function_code import FunctionCode, FunctionConfig, LocalRuntime
from ...runtime.surroundings import placed, start_command
from ..handler import FunctionFiles, HandlerCheck
from ..handler_import import (
    Here,
    exit_of,
    first_event,
    imported,
    not_imported,
    proves_nothing,
    shortened,
    unpacked,
)
from .restore import is_of_sdk

_ENDS: tuple[Kind, ...] = ("ready", "init-error", "exit")
_SECONDS = 10.0  # Lambda's own limit of an initialisation
# What the client says of the package itself; a message of its last kind is Node's own.
_CERTAIN = ("HandlerNotFound", "CallbackHandlerDeprecated", "MalformedHandlerName",
            "MalformedStreamingHandler", "UserCodeSyntaxError")  # fmt: skip
_ABSENT = re.compile(r"Cannot find (?:module|package) '([^']+)'")
_PLACE = re.compile(r"/var/task/([^\s():]+:\d+)")
_PATH = re.compile(r"(?:file://)?/var/task/")


def load_handler(
    project: Project, files: FunctionFiles, machine: Machine, runtime: LocalRuntime
) -> HandlerCheck:
    """Load the handler as Lambda would."""
    function, here = project.function, Here.of(project, machine.environ, runtime)
    config = FunctionConfig(
        function.name, runtime=function.runtime.name, environment=here.known.values, memory=1024
    )
    with unpacked(files, machine.cache / "import") as folder:
        began = time.monotonic()
        event, said = _load(FunctionCode(folder, function.handler, runtime), config)
        seconds = time.monotonic() - began
    if event.kind == "ready":
        return imported(seconds)
    kind, message = _said(event, said)
    message = _PATH.sub("", message).partition("Require stack")[0]
    message = masked_text(shortened(message), here.known.private)
    if kind not in _CERTAIN and (foreign := here.cannot_load(function, files)):
        return proves_nothing(foreign)
    absent = _ABSENT.search(message)
    brought = absent and function.boto3 == FROM_RUNTIME and is_of_sdk(absent[1])
    if kind in _CERTAIN or (absent and not brought and not here.layers):
        return HandlerCheck(reason=f"the handler {function.handler}: {message}")
    return not_imported(message)


def _load(code: FunctionCode, config: FunctionConfig) -> tuple[ProcessEvent, str]:
    """Return how it ended, and what was said: a document, or a log."""
    with tempfile.TemporaryDirectory(prefix="import-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        code = placed(code, scratch)
        words = start_command(code, config.memory, None, "", scratch)
        event, log = first_event(code, config, words, _ENDS, _SECONDS, scratch)
    said = event.body.decode("utf-8", "replace") or log
    return event, said.replace(str(code.folder), "/var/task")


def _said(event: ProcessEvent, said: str) -> tuple[str, str]:
    """Return the kind of an error, without `Runtime.`, and what it says."""
    if event.kind == "timeout":
        return "", f"loading it took more than {_SECONDS:g} s, which is Lambda's limit"
    if event.kind == "exit":
        return "", exit_of(event, said)
    error = json.loads(said)
    kind = str(error.get("errorType", "")).removeprefix("Runtime.")
    place = _PLACE.search("\n".join(map(str, error.get("trace") or ())))
    where = f"{place[1]}: " if place else ""
    return kind, f"{where}{kind}: {error.get('errorMessage', '')}"
