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

from ..runtime.function_code import FunctionConfig, LocalRuntime
from ..runtime.pool import Pool
from .aws_http import App, Environ, Start, in_aws_words
from .guard import guarded
from .moto_aliases import replace_qualifiers
from .moto_lambda import Execution, replace_execution
from .moto_stack import replace_dropped
from .patches import Patches
from .strict import Settling, StrictLambda


@dataclass(frozen=True)
class Keys:
    """The key a caller needs, and the one functions are given; both random."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    function_key: str = field(repr=False)
    function_secret: str = field(repr=False)


def new_keys() -> Keys:
    """Make the keys of one start; access keys have the length and letters of real ones."""
    return Keys(_access_key(), secrets.token_urlsafe(30), _access_key(), secrets.token_urlsafe(30))


@contextmanager
def embedded_aws(
    folder: Path,
    runtimes: Mapping[str, LocalRuntime],
    keys: Keys,
    *,
    control: App | None = None,
    settling: Settling | None = None,
) -> Iterator[str]:
    """Serve on a free loopback port until the block ends; state, processes and patches go with it.

    Yields the address. `folder` is its own, `runtimes` by name like `python3.13`. `control`
    answers paths below `/_pipeline/` for holders of the key. `settling` says how long a change of
    a function takes.
    """
    with contextlib.ExitStack() as stack:
        server = make_server("127.0.0.1", 0, _nothing, threaded=True, request_handler=_QuietHandler)
        stack.callback(server.server_close)
        endpoint = f"http://127.0.0.1:{server.server_port}"
        common = FunctionConfig(
            "", endpoint=endpoint, access_key=keys.function_key, secret_key=keys.function_secret
        )
        execution = Execution(Pool(folder, runtimes), common)
        stack.callback(moto_api_backend.reset)
        stack.callback(execution.close)
        patches = stack.enter_context(Patches())
        replace_execution(patches, execution)
        replace_qualifiers(patches)
        replace_dropped(patches)
        server.app = _application(keys, server.server_port, control, settling or Settling())
        _serve(server, stack)
        yield endpoint


def _application(keys: Keys, port: int, control: App | None, settling: Settling) -> App:
    # The first import of these takes most of a second; better now than in somebody's first call.
    for service in ("lambda", "s3", "cloudformation", "logs", "iam", "sqs"):
        get_backend(service)
    app: App = StrictLambda(in_aws_words(DomainDispatcherApplication(_backend_app)), settling)
    if control is not None:
        app = _with_control(app, control)
    hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
    return guarded(app, keys=(keys.access_key, keys.function_key), hosts=hosts)


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
    disable_nagle_algorithm = True  # or a body waits 40 ms for its head's acknowledgement

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Leave requests out of the log."""
