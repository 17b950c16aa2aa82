"""The embedded AWS as a process of its own: `python -m pipeline.local.server BACKGROUND`.

It makes its keys itself, so that no command line shows them, and writes them with its port to
the state file (mode 0600) once it answers. It holds a lock beside that file while it lives, and the
repository's cache, where the runtimes' clients are.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

from ..edge.cache import shared_use
from ..edge.files import remove_folder, sweep
from ..edge.locks import exclusive_if_free
from ..edge.scratch import own_temporary_folder
from .background import Background
from .state import write_state

_TAKEN = 4


def main(wanted: Background) -> int:
    """Serve until told to stop; return 4 when another server has this state file."""
    state = wanted.state
    state.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        ours = held.enter_context(exclusive_if_free(state.with_suffix(".lock")))
        if not ours:
            sys.stderr.write(f"{state}: another embedded AWS is running\n")
            return _TAKEN
        held.enter_context(own_temporary_folder())
        if wanted.cache:
            # The runtimes' clients lie there. Who started this holds it until it answers.
            held.enter_context(shared_use(wanted.cache, lambda: None))
        sweep(state.parent)
        folder = wanted.work
        # A server that was killed could not tidy up. Compiled modules stay: they save a second.
        for left in ("code", "native"):
            remove_folder(folder / left)
        try:
            _serve(wanted, folder)
        finally:
            state.unlink(missing_ok=True)
    return 0


def _serve(wanted: Background, folder: Path) -> None:
    # Takes a second: a server that came second has gone by now.
    from .embedded import embedded_aws  # noqa: PLC0415
    from .strict import Settling  # noqa: PLC0415

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if wanted.ends_with_us:
        threading.Thread(target=_await_end, args=(stop,), daemon=True).start()
    with embedded_aws(
        folder,
        wanted.runtimes,
        region=wanted.region,
        log=str(wanted.log),
        settling=Settling(wanted.settle),
        stop=stop,
    ) as aws:
        write_state(wanted.state, aws)
        sys.stderr.write(f"embedded AWS on {aws.endpoint}, process {aws.pid}\n")
        sys.stderr.flush()
        stop.wait()
    sys.stderr.write("embedded AWS stopped\n")


def _await_end(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


if __name__ == "__main__":
    code = main(Background.read(sys.argv[1]))
    sys.stderr.flush()
    # All is tidied up; taking apart what moto holds would take a second more.
    os._exit(code)
