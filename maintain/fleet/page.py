"""A survey as one page that is opened from a file: nothing is loaded, nothing needs a script.

Filters and orders are radio buttons that the style sheet looks at. Everything that others wrote is
made harmless and escaped in one place, `_e`; the page's own policy forbids every other script.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from pipeline.core.foreign import harmless

from .config import RINGS
from .screen import SOON, age, live, unknown
from .status import MEANINGS, NEXT, STATES, Standing, Survey

_HERE = Path(__file__).parent
_LAST = 1 << 30  # the place in an order of what has no value for it
_MOST = 20  # findings of a repository that the page shows
# What rows can be ordered by, besides the state: the smallest comes first.
_ORDERS: dict[str, Callable[[Standing], Any]] = {
    "name": lambda one: one.name.lower(),
    "last heard of": lambda one: -(_LAST if one.sign_of_life is None else one.sign_of_life),
    "open update": lambda one: -max((asked["days"] for asked in one.requests), default=-1),
    "runtime's end": lambda one: one.runtime.get("days", _LAST),
}


def page(survey: Survey) -> str:
    """Return the page as HTML."""
    style = (_HERE / "page.css").read_text("utf-8") + _rules()
    script = (_HERE / "page.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    places = [_places(survey.repositories, key) for key in _ORDERS.values()]
    rows = "".join(
        _row(one, [place[at] for place in places]) for at, one in enumerate(survey.repositories)
    )
    head = "".join(f"<span>{_e(name)}</span>" for name in ("state", "repository", *_FACTS))
    count = len(survey.repositories)
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_e(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Fleet: {survey.counts["current"]} of {count} current</title>
<style>{style}</style>
<main>
<header><h1>Fleet</h1>
<p class="quiet">{_e(survey.template)} · newest release <b>{_e(survey.newest or "none")}</b> · seen
<time datetime="{_e(survey.at)}">{_e(_when(survey.at))} UTC</time></p></header>
{_tiles(survey)}
<div class="bar" aria-hidden="true">{_bar(survey)}</div>
<div class="controls">
{_choice("Show", "state", [("all", count), *((s, n) for s, n in survey.counts.items() if n)])}
{_choice("Ring", "ring", [("every", None), *((ring, None) for ring in RINGS)])}
{_choice("Order", "order", [("state", None), *((order, None) for order in _ORDERS)])}
<input type="search" hidden autocomplete="off" aria-label="Search" placeholder="Search &#8230;  /">
</div>
<div class="head" aria-hidden="true">{head}</div>
<div class="list">
{rows}<p class="nothing quiet" hidden>Nothing fits.</p>
</div>
<footer>{_footer(survey)}</footer>
</main>
<script>{script}</script>
</html>
"""


_FACTS = ("release", "heard of", "update", "runtime", "live")


def _row(one: Standing, places: Sequence[int]) -> str:
    order = ";".join(f"--o{number}:{place}" for number, place in enumerate(places))
    waiting = max((asked["days"] for asked in one.requests), default=None)
    behind = f"<small>{one.behind} behind</small>" if one.behind else ""
    cells = (
        f"{_e(one.release)}{behind}",
        _ago(one.sign_of_life),
        "" if waiting is None else f"open {_e(age(waiting))}",
        _runtime(one.runtime),
        _e(live(one.deployed)),
    )
    facts = "".join(
        f'<span class="fact{"" if cell else " none"}"><i>{label}</i> {cell}</span>'
        for label, cell in zip(_FACTS, cells, strict=True)
    )
    # The release's cell says by how much a repository is behind.
    why = "" if one.state in ("current", "behind") else f"<small>{_e(one.why)}</small>"
    ring = "" if one.ring == "all" else f'<span class="ring">{_e(one.ring)}</span>'
    return f"""<details class="row {one.state}" data-ring="{_e(one.ring)}" style="{order}">
<summary><span class="pill">{one.state}</span>
<span class="name"><b>{_e(one.name)}</b>{ring}{why}</span>
{facts}</summary>
{_more(one)}</details>
"""


def _more(one: Standing) -> str:
    """Return what is seen of a repository when its row is open."""
    left = {
        "State": f"{one.state}: {MEANINGS[one.state]}",
        "Next": NEXT[one.state],
        "Also": ", ".join(one.also),
        "Owner": one.owner,
        "Address": _link(one.url, one.url),
        "Default branch": one.branch,
        "Recorded": one.recorded if one.recorded != one.release else "",
    }
    build = one.build
    said = "unknown" if build is None else "none was seen"
    if build:
        said = _link(f"{build['result']}, {_days(build)}", build["url"])
    right = {
        "Newest commit": _days(one.commit) if one.commit else "",
        "Newest build": said,
        "Update request": "<br>".join(
            _link(f"{asked['branch']}, open for {age(asked['days'])}", asked["url"])
            for asked in one.requests
        ),
        "Runtime": _ends(one.runtime),
        "Live": "unknown"
        if one.deployed is None
        else ", ".join(f"{environment} {version}" for environment, version in one.deployed.items()),
    }
    marked = {"Address", "Newest build", "Update request"}
    lists = "".join(
        "<dl>"
        + "".join(
            f"<dt>{name}</dt><dd>{text if name in marked else _e(text)}</dd>"
            for name, text in side.items()
            if text
        )
        + "</dl>"
        for side in (left, right)
    )
    shown = "".join(
        f"<li><em>{_e(found['kind'])}</em><code>{_e(found['path'])}</code> "
        f'<span class="quiet">{_e(found["what"])}</span></li>'
        for found in one.findings[:_MOST]
    )
    if len(one.findings) > _MOST:
        shown += '<li class="quiet">and more: fleet.status --json has them</li>'
    findings = f'<ul class="findings">{shown}</ul>' if shown else ""
    return f'<div class="more">{lists}{findings}</div>'


def _tiles(survey: Survey) -> str:
    everyone = survey.repositories
    asked = [(request["days"], one.name) for one in everyone for request in one.requests]
    oldest = f"the oldest for {age(max(asked)[0])}: {max(asked)[1]}" if asked else "none is open"
    ending = [one for one in everyone if one.runtime.get("days", _LAST) <= SOON]
    ended = sum(one.runtime["days"] <= 0 for one in ending)
    unheard = [one for one in everyone if one.state == "silent" or "silent" in one.also]
    tiles = [
        (f"{survey.counts['current']} of {len(everyone)}", "current, and as they should be"),
        (str(len(asked)), f"updates wait; {oldest}"),
        (str(len(unheard)), f"silent for more than {survey.days_until_silent} days"),
        (str(len(ending)), f"runtimes end within {SOON} days, or have ended: {ended}"),
    ]
    items = "".join(f"<li><b>{_e(big)}</b><span>{_e(small)}</span></li>" for big, small in tiles)
    return f'<ul class="tiles">{items}</ul>'


def _bar(survey: Survey) -> str:
    return "".join(
        f'<i class="{state}" style="flex:{count}"></i>'
        for state, count in survey.counts.items()
        if count
    )


def _choice(title: str, name: str, values: Iterable[tuple[str, int | None]]) -> str:
    """Return radio buttons, the first of which is checked."""
    chips = "".join(
        f'<label class="chip {value if value in STATES else ""}">'
        f'<input type="radio" name="{name}" value="{_e(value)}" autocomplete="off"'
        f"{'' if at else ' checked'}>{_e(value)}"
        f"{'' if count is None else f' <b>{count}</b>'}</label>"
        for at, (value, count) in enumerate(values)
    )
    return f'<fieldset class="{name}s"><legend>{title}</legend>{chips}</fieldset>'


def _rules() -> str:
    """Return what the radio buttons do."""
    chosen = 'body:has([name={}][value="{}"]:checked) .row'
    rules = [f"{chosen.format('state', one)}:not(.{one}){{display:none}}" for one in STATES]
    rules += [f"{chosen.format('ring', r)}:not([data-ring={r}]){{display:none}}" for r in RINGS]
    rules += [
        f"{chosen.format('order', order)}{{order:var(--o{number})}}"
        for number, order in enumerate(_ORDERS)
    ]
    return "\n".join(rules)


def _places(repositories: Sequence[Standing], key: Callable[[Standing], Any]) -> list[int]:
    """Return the place of each repository in an order."""
    order = sorted(range(len(repositories)), key=lambda at: key(repositories[at]))
    return [order.index(at) for at in range(len(repositories))]


def _footer(survey: Survey) -> str:
    lines = [
        f"Unknown of {len(names) if len(names) < len(survey.repositories) else 'all'}: {what}"
        for what, names in unknown(survey).items()
    ]
    if survey.left_out:
        lines.append(f"Left out, of no template: {', '.join(survey.left_out)}")
    return "".join(f"<p>{_e(line)}</p>" for line in lines)


def _runtime(runtime: Mapping[str, Any]) -> str:
    if not runtime:
        return ""
    days = runtime.get("days")
    if days is None:
        return f"{_e(runtime['name'])}<small>end unknown</small>"
    tone = "bad" if days <= 0 else "warn" if days <= SOON else ""
    left = "ended" if days <= 0 else f"{age(days)} left"
    return f'{_e(runtime["name"])}<small class="{tone}">{_e(left)}</small>'


def _ends(runtime: Mapping[str, Any]) -> str:
    if not runtime:
        return ""
    ends = runtime.get("ends", "on a day that is unknown here")
    return f"{runtime['name']}, last security patches {ends}"


def _days(since: Mapping[str, Any]) -> str:
    return f"{_ago(since['days'])}, {since['at'][:10]}"


def _ago(days: int | None) -> str:
    return "today" if days == 0 else "?" if days is None else f"{age(days)} ago"


def _when(at: str) -> str:
    return at[:16].replace("T", " ")


def _link(text: str, url: str) -> str:
    """Return escaped HTML: a link only to what a browser can open without harm."""
    if not url.startswith(("https://", "http://")):
        return _e(text)
    return f'<a href="{_e(url)}" rel="noreferrer noopener">{_e(text)}</a>'


def _e(text: str) -> str:
    return escape(harmless(text), quote=True)
