"""The page of a survey, in a real browser: what it shows, and that nobody's name can act on it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from maintain.fleet.page import page
from maintain.fleet.status import STATES
from tests.fleet.browser import dom, screenshot
from tests.fleet.sample import survey
from tests.repositories import ROOT

_PICTURE = ROOT / "docs" / "fleet.png"
_PROBE = """(() => {
const click = (name, value) => document.querySelector(`[name=${name}][value="${value}"]`).click();
const seen = () => [...document.querySelectorAll(".row")].filter((row) => row.checkVisibility())
  .sort((one, other) => one.getBoundingClientRect().top - other.getBoundingClientRect().top)
  .map((row) => row.querySelector("b").textContent);
const search = document.querySelector("[type=search]");
const found = {};
found.search = search.checkVisibility();
found.all = seen();
click("state", "silent"); found.silent = seen();
click("ring", "early"); found.nothing = seen();
found.said = document.querySelector(".nothing").checkVisibility();
click("state", "all"); found.early = seen();
click("ring", "every"); click("order", "last heard of"); found.unheard = seen();
click("order", "name"); found.names = seen();
search.value = "BILLING export"; search.dispatchEvent(new Event("input")); found.searched = seen();
found.wide = document.documentElement.scrollWidth;
found.room = document.documentElement.clientWidth;
document.documentElement.dataset.found = JSON.stringify(found);
})();"""


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def _tags(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Tags()
    parser.feed(html)
    return parser.tags


def _probed(folder: Path, *, scripts: bool, width: int = 1280) -> dict[str, Any]:
    """Return what the probe finds, where the page's own script runs before it, or not at all."""
    html = page(survey())
    digest = base64.b64encode(hashlib.sha256(_PROBE.encode()).digest()).decode()
    html = html.replace("script-src &#x27;", f"script-src &#x27;sha256-{digest}&#x27; &#x27;", 1)
    if not scripts:
        html = re.sub(r"<script>.*?</script>\n", "", html, flags=re.DOTALL)
    path = folder / "page.html"
    path.write_text(html.replace("</html>", f"<script>{_PROBE}</script></html>"), "utf-8")
    after = dom(path, f"--window-size={width},900")
    data = re.search(r'data-found="([^"]*)"', after)
    assert data, after[:2000]
    found: dict[str, Any] = json.loads(unescape(data[1]))
    return found


@pytest.mark.parametrize(("scripts", "width"), [(True, 1280), (False, 390)])
def test_filters_and_orders_need_no_script(tmp_path: Path, scripts: bool, width: int) -> None:
    """They work without the page's script; search comes with it; a phone has nothing to scroll."""
    found = _probed(tmp_path, scripts=scripts, width=width)
    names = [one.name for one in survey().repositories]
    assert found["all"] == names
    assert found["silent"] == ["stock-sync", "invoices-export"]
    assert found["nothing"] == []
    assert found["early"] == ["bills-archive", "orders-events", "payments-webhook", "clickstream"]
    assert found["unheard"][:3] == ["refunds", "stock-sync", "loyalty"]
    assert found["names"] == sorted(names, key=str.lower)
    assert found["search"] == found["said"] == scripts
    assert found["searched"] == (["invoices-export"] if scripts else found["names"])
    assert found["wide"] <= found["room"]


def test_nothing_of_others_acts(tmp_path: Path) -> None:
    """A repository named like a script is text; nothing is loaded; only web addresses are links."""
    path = tmp_path / "page.html"
    path.write_text(page(survey()), "utf-8")
    tags = _tags(dom(path))
    assert [tag for tag, _ in tags].count("script") == 1
    assert not [attributes for _, attributes in tags if any(a.startswith("on") for a in attributes)]
    assert not {"img", "iframe", "base", "form", "object"} & {tag for tag, _ in tags}
    loaded = [a for tag, a in tags if "src" in a or (tag == "link" and a["href"] != "data:,")]
    assert not loaded
    links = [str(attributes["href"]) for tag, attributes in tags if tag == "a"]
    assert links
    assert all(link.startswith("https://") for link in links)
    policy = next(a["content"] for tag, a in tags if a.get("http-equiv"))
    assert policy
    assert "default-src 'none'" in policy
    assert "<title>Fleet: 9 of 20 current</title>" in dom(path)
    # A reader is told what to do, too.
    assert page(survey()).count("<dt>Next</dt>") == 11


def test_colours_can_be_read() -> None:
    """Every state's text has the contrast that WCAG AA asks for, 4.5, in light and in dark."""
    style = (ROOT / "maintain" / "fleet" / "page.css").read_text("utf-8")
    palettes = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    assert len(palettes) == 2
    for palette in palettes:
        tones = dict(re.findall(r"--([\w-]+): (#\w+);", palette))
        pairs = [(tones[state], tones[f"{state}-on"]) for state in STATES]
        pairs += [(tones[state], tones["card"]) for state in STATES]
        pairs += [(tones[one], tones[on]) for one in ("ink", "quiet") for on in ("paper", "card")]
        for one, other in pairs:
            low, high = sorted((_luminance(one), _luminance(other)))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (one, other)


def test_the_picture_in_the_docs(tmp_path: Path) -> None:
    """docs/fleet.png can be drawn from the page as it is now; WRITE_PICTURE=1 draws it there."""
    html = page(survey(hostile=False))
    at = html.rindex("<details", 0, html.index("edge-logs"))
    path = tmp_path / "page.html"
    path.write_text(f"{html[:at]}<details open{html[at + len('<details') :]}", "utf-8")
    target = _PICTURE if os.environ.get("WRITE_PICTURE") else tmp_path / "fleet.png"
    drawn = screenshot(path, target, 1280, 1240).read_bytes()
    size = [int.from_bytes(drawn[start : start + 4], "big") for start in (16, 20)]
    assert size == [1280, 1240]
    assert _PICTURE.read_bytes()[:24] == drawn[:24]


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) > 4 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
