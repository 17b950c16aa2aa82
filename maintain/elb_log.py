"""Load balancer log lines for the demo, in the classic format, written fresh."""

from __future__ import annotations

from datetime import datetime, timedelta

_REQUESTS = (
    ("GET", "/", 200, 0.000051, 0.004210, 0.000033),
    ("GET", "/products?page=2", 200, 0.000047, 0.018834, 0.000041),
    ("POST", "/basket", 201, 0.000062, 0.051377, 0.000038),
    ("GET", "/images/logo.svg", 304, 0.000044, 0.000912, 0.000029),
    ("GET", "/missing", 404, 0.000058, 0.002045, 0.000031),
    ("GET", "/reports/yearly", 504, 0.000049, -1, -1),
)


def classic_log(start: datetime) -> str:
    """Return a log of a few requests, half a second apart, with a timeout among them."""
    lines = []
    for number, (verb, path, status, forward, taken, back) in enumerate(_REQUESTS):
        moment = (start + timedelta(milliseconds=500 * number)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        backend = "-" if taken < 0 else "10.0.3.17:8080"
        backend_status = "-" if taken < 0 else str(status)
        lines.append(
            f"{moment} demo-balancer 203.0.113.{10 + number}:{40_000 + number} {backend} "
            f"{_seconds(forward)} {_seconds(taken)} {_seconds(back)} {status} {backend_status} "
            f"{120 * number} {2048 + number} "
            f'"{verb} https://shop.example.com:443{path} HTTP/1.1" "demo/1.0 (newcomer)" '
            "ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2\n"
        )
    return "".join(lines)


def _seconds(value: float) -> str:
    """Return a time as balancers write it: microseconds, or a bare -1 for none."""
    return "-1" if value < 0 else f"{value:.6f}"
