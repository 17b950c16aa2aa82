"""The embedded AWS in this process: moto behind guard and strict layer, functions that run.

moto keeps its state in globals, so there is one at a time in a process; a second is refused.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moto.backends import get_backend
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server

from .asynchronous import RETRY_DELAYS
from .guard import Guard
from .moto_lambda import Access, Execution, replace_execution
from .moto_stack import replace_dropped
from .patches import Patches
from .pool import LocalRuntime, Pool
from .strict import StrictLambda
from .wire import App, Environ, Start, in_aws_words

__all__ = ["EmbeddedAws", "Keys", "Options", "embedded_aws", "new_keys"]


@dataclass(frozen=True)
class Keys:
    """The key a caller needs, and the one functions are given; both random."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    function_key: str = field(repr=False)
    function_secret: str = field(repr=False)


@dataclass(frozen=True)
class Options:
    """How an embedded AWS is made: `folder` is its own, `runtimes` by name like `python3.13`."""

    folder: Path
    runtimes: Mapping[str, LocalRuntime]
    retry_delays: tuple[float, ...] = RETRY_DELAYS
    strict: bool = True


@dataclass(frozen=True)
class EmbeddedAws:
    """A running embedded AWS."""

    endpoint: str
    keys: Keys
    execution: Execution
    pool: Pool

    def wait_for_events(self, seconds: float) -> bool:
        """Wait until no asynchronous event is left; say whether it is so."""
        return self.execution.queue.wait(seconds)


def new_keys() -> Keys:
    """Make the keys of one start; access keys have the length and letters of real ones."""
    return Keys(_access_key(), secrets.token_urlsafe(30), _access_key(), secrets.token_urlsafe(30))


@contextmanager
def embedded_aws(
    options: Options, keys: Keys, *, control: App | None = None
) -> Iterator[EmbeddedAws]:
    """Serve on a free loopback port until the block ends; state, processes and patches go with it.

    `control` answers paths below `/_pipeline/` for holders of the key.
    """
    with contextlib.ExitStack() as stack:
        server = make_server("127.0.0.1", 0, _nothing, threaded=True, request_handler=_QuietHandler)
        stack.callback(server.server_close)
        endpoint = f"http://127.0.0.1:{server.server_port}"
        pool = Pool(options.folder, options.runtimes)
        access = Access(endpoint, keys.function_key, keys.function_secret)
        execution = Execution(pool, access, retry_delays=options.retry_delays)
        stack.callback(moto_api_backend.reset)
        stack.callback(execution.close)
        patches = stack.enter_context(Patches())
        replace_execution(patches, execution)
        replace_dropped(patches)
        server.app = _application(options, keys, server.server_port, control)
        _serve(server, stack)
        yield EmbeddedAws(endpoint, keys, execution, pool)


def _application(options: Options, keys: Keys, port: int, control: App | None) -> App:
    # The first import of these takes most of a second; better now than in somebody's first call.
    for service in ("lambda", "s3", "cloudformation", "logs", "iam", "sqs"):
        get_backend(service)
    app = in_aws_words(DomainDispatcherApplication(_backend_app))
    if options.strict:
        app = StrictLambda(app)
    if control is not None:
        app = _with_control(app, control)
    hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
    return Guard(app, keys=(keys.access_key, keys.function_key), hosts=hosts)


def _backend_app(service: Any) -> Any:
    app = create_backend_app(service)
    # Otherwise Flask answers with a page that hides what went wrong.
    app.config["PROPAGATE_EXCEPTIONS"] = True
    return app


def _with_control(app: App, control: App) -> App:
    def route(environ: Environ, start_response: Start) -> Iterable[bytes]:
        chosen = control if environ.get("PATH_INFO", "").startswith("/_pipeline/") else app
        return chosen(environ, start_response)

    return route


def _serve(server: BaseWSGIServer, stack: contextlib.ExitStack) -> None:
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    )
    thread.start()
    stack.callback(thread.join, 5)
    stack.callback(server.shutdown)


def _access_key() -> str:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    return "LOCL" + "".join(secrets.choice(letters) for _ in range(24))


def _nothing(environ: Environ, start_response: Start) -> Iterable[bytes]:  # noqa: ARG001
    start_response("503 Service Unavailable", [])
    return []


class _QuietHandler(MotoRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Leave requests out of the log."""
