"""Asynchronous invocations: a queue, Lambda's two retries, then whoever takes dead letters."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any

from .invocation import Invocation

__all__ = ["RETRY_DELAYS", "AsyncQueue", "Job"]

# Lambda waits one minute, then two; nobody wants to wait that long on a laptop.
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
        *,
        retries: Callable[[Any], int],
        delays: tuple[float, ...] = RETRY_DELAYS,
    ) -> None:
        self._run = run
        self._give_up = give_up
        self._retries = retries
        self._delays = delays
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._timers: set[threading.Timer] = set()
        self._pending = 0
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(_WORKERS)]
        for thread in self._threads:
            thread.start()

    def add(self, function: Any, payload: bytes) -> str:
        """Take an event and return its request id at once."""
        job = Job(function, payload, str(uuid.uuid4()))
        with self._changed:
            self._pending += 1
        self._jobs.put(job)
        return job.request_id

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is queued, running or waiting for a retry; say whether it is so."""
        with self._changed:
            return self._changed.wait_for(lambda: self._pending == 0, timeout=seconds)

    def close(self) -> None:
        """Drop what has not begun and let the workers go."""
        with self._changed:
            timers = list(self._timers)
        for timer in timers:
            timer.cancel()
        for _ in self._threads:
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                again = self._attempt(job)
            except Exception:  # noqa: BLE001 - one bad event must not cost the worker
                again = False
            if not again:
                self._done()

    def _attempt(self, job: Job) -> bool:
        """Run a job; True means that it will be tried again."""
        outcome = self._run(job)
        if outcome.error is None:
            return False
        if job.attempt >= self._retries(job.function):
            self._give_up(job, outcome)
            return False
        delay = self._delays[min(job.attempt, len(self._delays) - 1)]
        timer = threading.Timer(delay, self._again, (replace(job, attempt=job.attempt + 1),))
        timer.daemon = True
        with self._changed:
            self._timers.add(timer)
        timer.start()
        return True

    def _again(self, job: Job) -> None:
        with self._changed:
            self._timers = {timer for timer in self._timers if timer.is_alive()}
        self._jobs.put(job)

    def _done(self) -> None:
        with self._changed:
            self._pending -= 1
            self._changed.notify_all()
