"""What a repository's default branch holds, judged by doctor's rules without a checkout.

Files whose blobs are the release's are right as they are. What is left, a handful, is laid into
a folder of its own where doctor looks at it; so there is one set of rules.
"""

from __future__ import annotations

import re
import tempfile
import tomllib
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import doctor
from doctor import Finding

from .config import same_address
from .objects import Entry, Objects
from .releases import Release, Releases

_SETTINGS = "pyproject.toml"


@dataclass(frozen=True)
class Content:
    """What there is.

    `recorded` is the release that the answers file names, `release` the one whose files these are;
    they are empty where nothing says so.

    `broken` says why the repository cannot be judged or updated at all. `is_of_template` is false
    where there is no answers file.
    """

    recorded: str = ""
    release: str = ""
    findings: tuple[Finding, ...] = ()
    broken: str = ""
    is_of_template: bool = True
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def is_conflicted(self) -> bool:
        """Whether a merge has left something."""
        return any(one.kind == "conflict" for one in self.findings)


@dataclass
class Judge:
    """Judges commits against the template at `template`; `today` is a date as YYYY-MM-DD.

    `marked` remembers which blobs hold conflict markers: repositories share most of theirs.
    """

    template: str
    releases: Releases
    today: str
    marked: MutableMapping[str, bool] = field(default_factory=dict)

    def judge(self, objects: Objects, commit: str, folder: str = "") -> Content:
        """Return what a commit holds, in `folder` or as a whole."""
        files = objects.files(commit, folder)
        if doctor.ANSWERS not in files:
            what = "there is no answers file: is this made from the template?"
            return Content(broken=what if files else "it is empty", is_of_template=False)
        with tempfile.TemporaryDirectory(prefix="fleet-") as name:
            return self._judge(_Laid(Path(name), objects, files))

    def _judge(self, laid: _Laid) -> Content:
        laid.lay(doctor.ANSWERS, doctor.ALLOWED, _SETTINGS)
        known = doctor.answers(laid.root)
        recorded, source = str(known.get("_commit", "")), str(known.get("_src_path", ""))
        release = self.releases.of(recorded) if recorded else None
        holds = recorded
        if release and laid.blob(doctor.MANIFEST) != release.ours[doctor.MANIFEST]:
            holds = self.releases.holding(laid.blob(doctor.MANIFEST)) or recorded
            release = self.releases.of(holds)
        ours = release.ours if release else {}
        findings = self._conflicts(laid, ours)
        settings, broken = _settings(laid)
        if not recorded or not source:
            broken = f"{doctor.ANSWERS} does not say which template this is from, and which release"
        elif same_address(doctor.git_address(source)) != same_address(self.template):
            broken = f"it is from another template: {doctor.hidden(source)}"
        elif release is None:
            broken = f"it is from {recorded}, which the template does not have"
        else:
            if holds != recorded:
                what = f"it records {recorded}, and the files are those of {holds}"
                findings.append(Finding("answers", doctor.ANSWERS, what, doctor.FIX))
            findings += self._changed(laid, release)
            findings += [] if broken else doctor.answered(laid.root)
        return Content(recorded, holds, tuple(findings), broken, settings=settings)

    def _conflicts(self, laid: _Laid, ours: dict[str, str]) -> list[Finding]:
        suspect = [
            name
            for name, entry in laid.files.items()
            if name.endswith(".rej")
            or (entry.is_regular and entry.blob != ours.get(name) and self._is_marked(laid, entry))
        ]
        laid.lay(*suspect)
        return doctor.conflicts(laid.root) if suspect else []

    def _is_marked(self, laid: _Laid, entry: Entry) -> bool:
        if entry.blob not in self.marked:
            self.marked[entry.blob] = doctor.has_markers(laid.objects.read(entry.blob))
        return self.marked[entry.blob]

    def _changed(self, laid: _Laid, release: Release) -> list[Finding]:
        ours = release.ours
        suspect = [name for name in ours if not laid.has(name, ours[name])]
        suspect += [
            name
            for name in laid.files
            if name.startswith("scripts/") and name not in ours and not doctor.YOURS.match(name)
        ]
        if not suspect and laid.blob(doctor.ALLOWED) in ("", release.allowed):
            return []
        laid.lay(*suspect, doctor.MANIFEST)
        found = doctor.ours(laid.root, self.today, release.manifest)
        return [one for one in found if not laid.has(one.path, ours.get(one.path, ""))]


@dataclass
class _Laid:
    """A folder that some files of a commit are laid into."""

    root: Path
    objects: Objects
    files: dict[str, Entry]

    def blob(self, name: str) -> str:
        return self.files[name].blob if name in self.files else ""

    def has(self, name: str, blob: str) -> bool:
        return name in self.files and self.files[name].is_regular and self.blob(name) == blob

    def lay(self, *names: str) -> None:
        for name in names:
            path = self.root / name
            if name not in self.files or path.exists():
                continue
            if self.files[name].is_regular:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self.objects.read(self.blob(name)))
            elif name.endswith(".rej"):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
            else:
                path.mkdir(parents=True)  # A link or a submodule: no file in any case.


def _settings(laid: _Laid) -> tuple[dict[str, Any], str]:
    """Return `[tool.pipeline]`, or why there is none."""
    try:
        text = (laid.root / _SETTINGS).read_text(encoding="utf-8-sig")
        found = tomllib.loads(text)["tool"]["pipeline"]
    except (OSError, ValueError) as error:
        why = "is missing" if isinstance(error, OSError) else f"cannot be read: {error}"
        return {}, f"{_SETTINGS} {why}"
    except (KeyError, TypeError):
        found = None
    if not isinstance(found, dict):
        return {}, f"{_SETTINGS} has no [tool.pipeline]"
    return found, ""


def text_at(settings: dict[str, Any], *keys: str) -> str:
    """Return a text in nested tables that anybody wrote; empty where there is none."""
    value: Any = settings
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return re.sub(r"\s+", " ", value) if isinstance(value, str) else ""
