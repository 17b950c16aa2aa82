"""How far the tests are: a count, a percentage and the time, in the place of a dot for each test.

`python3 tasks.py test` loads it with `-p`. On a terminal it is one line that changes, elsewhere a
line every few seconds. Failures are told when they happen, and in full at the end.
"""

from __future__ import annotations

import sys
import time

import pytest

_BETWEEN_LINES = 5.0  # seconds
_BETWEEN_LOOKS = 0.1


class Progress:
    """Counts what has ended; with xdist in the process that hands the tests out."""

    def __init__(self) -> None:
        self._start = self._shown = time.monotonic()
        self._live = sys.stderr.isatty()
        self._total = self._done = self._failed = 0

    def pytest_sessionstart(self) -> None:
        """Say something at once: collecting takes a moment."""
        self._say("collecting the tests ...")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Take the number of tests, where they run in this process."""
        self._total = len(session.items) or self._total

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Take the number of tests from a worker: each has collected all of them."""
        self._total = len(ids)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.CollectReport | pytest.TestReport) -> object:
        """Return an empty letter for a test that passed: no dot."""
        return ("passed", "", "") if report.passed and report.when == "call" else None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test at its end, and tell a failure."""
        if report.failed:
            self._failed += 1
            self._say(f"FAILED {report.nodeid} ({report.when})")
        if report.when == "teardown":
            self._done += 1
            since = time.monotonic() - self._shown
            if since >= (_BETWEEN_LOOKS if self._live else _BETWEEN_LINES):
                self._show()

    def pytest_sessionfinish(self) -> None:
        """Show the last count."""
        self._show()
        self._say("")

    def _show(self) -> None:
        self._shown = time.monotonic()
        minutes, seconds = divmod(int(self._shown - self._start), 60)
        percent = 100 * self._done // self._total if self._total else 0
        failed = f", {self._failed} failed" if self._failed else ""
        text = f"{percent:3} %  {self._done:,} of {self._total:,}{failed}  {minutes}:{seconds:02}"
        sys.stderr.write(f"\r{text}\x1b[K" if self._live else f"{text}\n")
        sys.stderr.flush()

    def _say(self, text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text}\n" if self._live else f"{text}\n" if text else "")
        sys.stderr.flush()


def pytest_configure(config: pytest.Config) -> None:
    """Register it, but not in xdist's workers."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Progress(), "progress")
