"""Lines per second of the ELB log processor, beside a bare split of the same lines.

    python benchmarks/elb_log_lines.py [--lines N] [--rounds N]

All sides get the same gzip object from the same stand-in for S3. The bare split is what a plain
script does: `gzip.open`, and each line cut at the spaces outside quotes (a backslash escapes a
quote), the columns thrown away. The processor parses, makes JSON of it and ships it, once to
nowhere and once over loopback TCP to a listener in a process of its own. Rounds alternate, so
that a busy machine slows all sides; the best of each counts.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import io
import multiprocessing
import random
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Self

_TEMPLATE = Path(__file__).parents[1] / "template" / "src"
_PACKAGE = "elb_logs_measured"
_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/120.0.0.0 Safari/537.36"
)
_GROUP = "arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/shop/73e2d6bc24d8a067"
_CERTIFICATE = "arn:aws:acm:us-east-2:123456789012:certificate/12345678-1234-1234-1234-12345678"
_split_outside_quotes = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[^ "]+').findall

Side = tuple[str, Callable[[], object]]


def classic(count: int) -> Iterator[str]:
    """Yield lines of a classic load balancer."""
    draw = random.Random(1)  # noqa: S311 (the same lines each time, nothing secret)
    for number in range(count):
        yield (
            f"2015-05-13T23:39:{number % 60:02}.{draw.randrange(10**6):06}Z my-loadbalancer "
            f"192.168.131.{number % 250}:{2817 + number % 3000} 10.0.0.1:80 "
            f"0.{draw.randrange(999):06} 0.{draw.randrange(999999):06} 0.{draw.randrange(999):06} "
            f"200 200 {draw.randrange(999)} {draw.randrange(99999)} "
            f'"GET https://www.example.com:443/api/v1/things/{number}?page=2 HTTP/1.1" '
            f'"{_AGENT}" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2'
        )


def application(count: int) -> Iterator[str]:
    """Yield lines of an application load balancer."""
    for number, line in enumerate(classic(count)):
        yield (
            f'https {line} {_GROUP} "Root=1-58337281-{number:024x}" "www.example.com" '
            f'"{_CERTIFICATE}" 1 2015-05-13T23:38:48.364000Z "authenticate,forward" "-" "-" '
            f'"10.0.0.1:80" "200" "-" "-" TID_{number:032x}'
        )


class _Storage:
    """Answers as S3 does, from memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def get_object(self, **_request: str) -> dict[str, Any]:
        """Return the one object."""
        return {"Body": io.BytesIO(self._content), "ETag": '"etag"'}


class _Nowhere:
    """A connection that takes everything at once."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def send(self, data: bytes) -> None:
        """Take it."""

    def finish(self) -> None:
        """End."""


def _swallow(listener: socket.socket) -> None:
    buffer = bytearray(1 << 20)
    while True:
        stream, _ = listener.accept()
        while stream.recv_into(buffer):
            pass
        stream.close()


def _function_module(name: str) -> Any:
    return importlib.import_module(f"{_PACKAGE}.{name}")


def _copy_function(folder: str) -> None:
    """Put the function's files under a plain name, as generating a repository does."""
    package = Path(folder, _PACKAGE)
    package.mkdir()
    for file in _TEMPLATE.glob("*'elb-logs'*/*.py"):
        shutil.copy2(file, package)
    sys.path.insert(0, folder)


def _splits(content: bytes) -> Iterator[Side]:
    read_lines = _function_module("lines").read_lines

    def plain(split: Callable[[str], object]) -> None:
        with gzip.open(io.BytesIO(content), "rt", encoding="utf-8") as file:
            for line in file:
                split(line)

    def same_reader() -> None:
        for lines in read_lines(io.BytesIO(content)):
            for line in lines:
                _split_outside_quotes(line)

    yield "bare split outside quotes", lambda: plain(_split_outside_quotes)
    yield "  with the processor's reader", same_reader
    yield "  str.split, which knows no quotes", lambda: plain(str.split)


def _ships(content: bytes, port: int) -> Iterator[Side]:
    shipping, logstash = _function_module("shipping"), _function_module("logstash")
    place = _function_module("records").S3Object("logs", "app.log.gz")
    settings = _function_module("settings").Settings(
        host="127.0.0.1", port=port, environment="CI", application="shop", component="web"
    )

    def ship(connect: Callable[[Any], object]) -> None:
        summary = shipping.ship([place], settings, s3=_Storage(content), connect=connect)
        if not summary.is_complete or summary.parsed != summary.encountered:
            raise AssertionError(summary)

    yield "processor, shipped to nowhere", lambda: ship(lambda _: _Nowhere())
    yield "processor, shipped over loopback TCP", lambda: ship(logstash.connect)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _report(title: str, lines: int, sides: Iterable[Side], rounds: int) -> None:
    names, works = zip(*sides, strict=True)
    times = [[_seconds(work) for work in works] for _ in range(rounds)]
    best = [min(column) for column in zip(*times, strict=True)]
    print(f"{lines:,} {title:<33} {'lines/s':>10} {'of the bare split':>18}")
    for name, seconds in zip(names, best, strict=True):
        print(f"  {name:<40} {lines / seconds:>8,.0f} {best[0] / seconds:>18.0%}")


def main() -> None:
    """Measure both formats and print a table for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        _copy_function(folder)
        listener = multiprocessing.get_context("fork").Process(target=_swallow, args=(server,))
        listener.start()
        try:
            for title, make in (("classic lines", classic), ("application lines", application)):
                content = gzip.compress("\n".join(make(options.lines)).encode())
                sides = [*_splits(content), *_ships(content, server.getsockname()[1])]
                _report(title, options.lines, sides, options.rounds)
        finally:
            listener.terminate()
            listener.join()


if __name__ == "__main__":
    main()
