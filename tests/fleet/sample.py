"""A survey of made-up repositories, one of them hostile, for the page and its picture."""

from __future__ import annotations

from typing import Any

from maintain.fleet.status import Standing, Survey

_HOST = "https://github.com/example"
_PYTHON = {"name": "python3.13", "ends": "2029-06-30", "days": 947}
_OLD = {"name": "python3.11", "ends": "2027-06-30", "days": 216}
_ENDING = {"name": "nodejs22.x", "ends": "2027-04-30", "days": 155}
_ENDED = {"name": "nodejs20.x", "ends": "2026-04-30", "days": -210}
_HOSTILE = "<script>document.title='taken'</script>"


def survey(*, hostile: bool = True) -> Survey:
    """Return a survey of 20 repositories; the picture in the docs goes without the hostile one."""
    core, zips = "scripts/pipeline/core/text.py", "scripts/pipeline/zip/writer.py"
    made = [
        _one("bills-archive", "broken", "it is from v0.5.1, which the template does not have",
             ring="early", owner="@example/billing", days=12, release="", runtime=_OLD),
        _one("refunds", "broken", "https://github.com/example/refunds.git cannot be read: "
             "Repository not found", owner="@example/billing", days=None, release="", runtime={}),
        _one("orders-events", "conflicted", "a merge is not finished in src/orders/handler.py",
             ring="early", owner="@example/orders", days=3, behind=1, also=["behind"],
             findings=[("conflict", "src/orders/handler.py", "it holds conflict markers")]),
        _one("edge-logs", "changed", f"changed: {core} and {zips}; missing: scripts/deploy.py",
             owner="@example/platform", days=5, live="1.19.2", findings=[
                 ("changed", core, "it is not as the template has it"),
                 ("changed", zips, "it is not as the template has it"),
                 ("missing", "scripts/deploy.py", "the template's file is missing")]),
        _one("loyalty", "changed", "it records v0.6.0, and the files are those of v0.4.4",
             owner="@example/crm", days=41, behind=2, also=["silent", "behind"], runtime=_ENDING),
        _one(_HOSTILE, "changed", "extra: scripts/<img src=x onerror=alert(1)>.py", days=2,
             owner='"><b onmouseover=alert(1)>', url="javascript:alert(1)"),
        _one("stock-sync", "silent", "the newest build is 63 days old", owner="@example/stock",
             days=63, behind=1, also=["behind"], asked=58, runtime=_ENDED, live="0.9.14"),
        _one("invoices-export", "silent", "no build was ever seen, and the newest commit is "
             "29 days old", owner="@example/billing", days=29, live=""),
        _one("payments-webhook", "behind", "1 release behind v0.6.0", ring="early",
             owner="@example/payments", days=0, behind=1, asked=6, live="3.2.77"),
        _one("search-index", "behind", "2 releases behind v0.6.0", owner="@example/search", days=1,
             behind=2, asked=21, runtime=_ENDING, live="1.4.30"),
        _one("thumbnails", "behind", "1 release behind v0.6.0", owner="@example/media", days=9,
             behind=1, asked=6, live="2.0.8"),
    ]  # fmt: skip
    current = ("alb-logs", "clickstream", "customers-api", "fraud-score", "geo-lookup",
               "mail-bounce", "nightly-report", "price-feed", "returns")  # fmt: skip
    for number, name in enumerate(current):
        made.append(
            _one(
                name, "current", "v0.6.0", ring=("canary", "early", "all")[min(number, 2)],
                owner="@example/platform", days=number, live=f"1.{number}.{40 + number}",
                runtime=_ENDING if number == 4 else _PYTHON,
            )
        )  # fmt: skip
    made = [one for one in made if hostile or one.name != _HOSTILE]
    return Survey("2026-11-26T09:30:00+00:00", f"{_HOST}/copier-lambda", "v0.6.0", 14, made)


def _one(
    name: str, state: str, why: str, *, days: int | None, ring: str = "all", owner: str = "",
    behind: int = 0, also: list[str] | None = None, asked: int | None = None,
    release: str | None = None, runtime: dict[str, Any] | None = None, live: str | None = None,
    findings: list[tuple[str, str, str]] | None = None, url: str = "",
) -> Standing:  # fmt: skip
    releases = ("v0.6.0", "v0.5.0", "v0.4.4")
    then = {} if days is None else {"at": "2026-11-20T08:00:00+00:00", "days": days}
    request = {"branch": "fleet/update-template", "url": f"{_HOST}/{name}/pull/7"}
    return Standing(
        name, url or f"{_HOST}/{name}", ring, owner, state, why, also or [],
        recorded=releases[behind] if release is None else release,
        release=releases[behind] if release is None else release,
        behind=behind, branch="main", commit=then,
        findings=[
            {"kind": kind, "path": path, "what": what, "then": "", "sha256": ""}
            for kind, path, what in findings or []
        ],
        build=None if days is None else {**then, "result": "passed", "url": f"{_HOST}/{name}/runs"},
        requests=[] if asked is None else [{"at": "", "days": asked, **request}],
        runtime=_PYTHON if runtime is None else runtime,
        deployed=None if live is None else {"production": live} if live else {},
        unknown=[] if live is not None else ["deployed: its Octopus space has no such project"],
    )  # fmt: skip
