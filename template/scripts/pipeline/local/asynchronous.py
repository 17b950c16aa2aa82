"""Asynchronous invocations: a queue, Lambda's two retries, then whoever takes dead letters."""

from __future__ import annotations

import threading
import traceback
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any

from ..runtime.invocation import Invocation
from .moto_metrics import ThrottledError

# Lambda waits one minute, then two: too long on a laptop.
RETRY_DELAYS = (1.0, 2.0)
_WORKERS = 4


@dataclass(frozen=True)
class Job:
    """An event for a function; the request id stays the same over all attempts."""

    function: Any
    payload: bytes
    request_id: str
    attempt: int = 0


class AsyncQueue:
    """Runs jobs on worker threads, so that whoever sent the event need not wait.

    `run` invokes the function once; `give_up` gets what failed for the last time.
    """

    def __init__(
        self,
        run: Callable[[Job], Invocation],
        give_up: Callable[[Job, Invocation], None],
        retries: Callable[[Any], int],
    ) -> None:
        self._run = run
        self._give_up = give_up
        self._retries = retries
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        for _ in range(_WORKERS):
            threading.Thread(target=self._work, daemon=True).start()

    def add(self, function: Any, payload: bytes) -> str:
        """Take an event and return its request id at once."""
        job = Job(function, payload, str(uuid.uuid4()))
        self._jobs.put(job)
        return job.request_id

    def close(self) -> None:
        """End the workers: a retry that is due later is not run."""
        for _ in range(_WORKERS):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._attempt(job)
            except Exception:  # noqa: BLE001 - one bad event must not cost the worker
                traceback.print_exc()  # into the server's log

    def _attempt(self, job: Job) -> None:
        delay, again = RETRY_DELAYS[min(job.attempt, len(RETRY_DELAYS) - 1)], job
        # What is throttled is no attempt: on AWS it may wait for six hours.
        with suppress(ThrottledError):
            outcome = self._run(job)
            if outcome.error is None:
                return
            if job.attempt >= self._retries(job.function):
                self._give_up(job, outcome)
                return
            again = replace(job, attempt=job.attempt + 1)
        timer = threading.Timer(delay, self._jobs.put, (again,))
        timer.daemon = True
        timer.start()
