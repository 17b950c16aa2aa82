"""The embedded AWS as a process of its own: `python -m pipeline.local.server --state FILE`.

It makes its keys itself, so that no command line shows them, and writes them with its port to
the state file (mode 0600) once it answers. It holds a lock beside that file while it lives, and the
repository's cache, where the runtimes' clients are.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from ..core.errors import PipelineError
from ..edge.cache import shared_use
from ..edge.files import remove_folder, sweep
from ..edge.locks import exclusive_if_free
from ..edge.scratch import own_temporary_folder
from ..project.runtimes import language_of
from ..runtime.function_code import LocalRuntime
from .aws_http import Environ, Start, scope
from .state import LocalAws, work_folder, write_state

_TAKEN = 4


def main(arguments: Sequence[str]) -> int:
    """Serve until told to stop; return 4 when another server has this state file."""
    options = _parser().parse_args(arguments)
    state = Path(options.state)
    state.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        ours = held.enter_context(exclusive_if_free(state.with_suffix(".lock")))
        if not ours:
            sys.stderr.write(f"{state}: another embedded AWS is running\n")
            return _TAKEN
        held.enter_context(own_temporary_folder())
        if options.cache:
            # The runtimes' clients lie there. Who started this holds it until it answers.
            held.enter_context(shared_use(Path(options.cache), lambda: None))
        sweep(state.parent)
        folder = work_folder(state)
        # A server that was killed could not tidy up. Compiled modules stay: they save a second.
        for left in ("code", "native"):
            remove_folder(folder / left)
        try:
            _serve(state, folder, dict(parse_runtime(text) for text in options.runtime), options)
        finally:
            state.unlink(missing_ok=True)
    return 0


def parse_runtime(text: str) -> tuple[str, LocalRuntime]:
    """Read `python3.13=PROGRAM:RIC[:EXTRA...]`, separated like PATH on this machine.

    `python3.13@3.12=...` says that the program is of another version than the runtime.
    """
    name, equals, places = text.partition("=")
    name, _, version = name.partition("@")
    program, _, others = places.partition(os.pathsep)
    if not (equals and name and program and others):
        raise PipelineError(
            "--runtime",
            f"{text!r} does not name a program and a runtime client",
            f"Write --runtime python3.13=/path/to/python{os.pathsep}/path/to/client.",
        )
    ric, *extra = map(Path, others.split(os.pathsep))
    language, wanted = language_of(name)
    return name, LocalRuntime(Path(program), ric, version or wanted, tuple(extra), language)


def _serve(
    state: Path, folder: Path, runtimes: dict[str, LocalRuntime], options: argparse.Namespace
) -> None:
    # Takes a second: a server that came second has gone by now.
    from .embedded import embedded_aws, new_keys  # noqa: PLC0415
    from .strict import Settling  # noqa: PLC0415

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if options.until_stdin_ends:
        threading.Thread(target=_await_end, args=(stop,), daemon=True).start()
    keys = new_keys()

    def control(environ: Environ, start_response: Start) -> Iterable[bytes]:
        # The functions' key opens AWS, not the server itself.
        allowed = scope(environ).access_key == keys.access_key
        start_response("200 OK" if allowed else "403 Forbidden", [])
        if allowed and environ["PATH_INFO"] == "/_pipeline/stop":
            stop.set()
        return [json.dumps({"pid": os.getpid()}).encode()] if allowed else []

    settling = Settling(options.settle)
    with embedded_aws(folder, runtimes, keys, control=control, settling=settling) as endpoint:
        aws = LocalAws(
            endpoint=endpoint,
            access_key=keys.access_key,
            secret_key=keys.secret_key,
            region=options.region,
            pid=os.getpid(),
            started=time.time(),
            log=options.log,
            function_key=keys.function_key,
            function_secret=keys.function_secret,
        )
        write_state(state, aws)
        sys.stderr.write(f"embedded AWS on {endpoint}, process {os.getpid()}\n")
        sys.stderr.flush()
        stop.wait()
    sys.stderr.write("embedded AWS stopped\n")


def _await_end(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pipeline.local.server")
    parser.add_argument("--state", required=True)
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--runtime", action="append", default=[])
    parser.add_argument("--log", default="")
    parser.add_argument("--cache", default="")
    parser.add_argument("--settle", type=float, default=0.0)
    parser.add_argument("--until-stdin-ends", action="store_true")
    return parser


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    # All is tidied up; taking apart what moto holds would take a second more.
    os._exit(code)
