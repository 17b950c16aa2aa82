"""The manifest of zone "ours": what every repository must have, to the byte.

Its first line is one digest of all the others: who compares two copies compares that line.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from pipeline.core.errors import PipelineError

MANIFEST = "scripts/MANIFEST"
# Build servers' files are rendered for some answers only: a repository may lack them.
_BY_ANSWER = re.compile(r"\A\{% if '[a-z]+' in build_servers %\}([^{}]+)\{% endif %\}")
_YOURS = (
    "scripts/hooks_build.py", "scripts/hooks_deploy.py", "scripts/allowed-changes.toml", MANIFEST,
)  # fmt: skip


def manifest_text(root: Path) -> str:
    """Return the digest's line, then one for each file of ours in order of their paths.

    Such a line is the file's sha256 with LF line ends, its path, and perhaps `optional`.
    """
    template = root / "template"
    files = {
        path: path.relative_to(template).as_posix() for path in (template / "scripts").rglob("*")
    }
    lines = [
        f"{_digest(path)}  {name}"
        for path, name in files.items()
        if path.is_file() and name not in _YOURS and not _is_cache(name)
    ]
    for path in template.rglob("*"):
        name, by_answer = _BY_ANSWER.subn(r"\1", path.relative_to(template).as_posix())
        if by_answer and path.is_file():
            lines.append(f"{_digest(path)}  {name}  optional")
    lines.sort(key=lambda line: line.split("  ")[1])
    below = "".join(f"{line}\n" for line in lines)
    return f"# sha256 {hashlib.sha256(below.encode()).hexdigest()} of the lines below\n{below}"


def check_manifest(root: Path) -> None:
    """Refuse a manifest that does not fit the files."""
    path = root / "template" / MANIFEST
    if not path.is_file() or path.read_text(encoding="utf-8") != manifest_text(root):
        raise PipelineError(
            f"template/{MANIFEST}",
            "it does not fit the files that it lists",
            "Run `python3 tasks.py manifest` and commit what it wrote.",
        )


def digest_of(text: str) -> str:
    """Return the digest that a manifest's first line gives."""
    return text.split(" ", 3)[2]


def write_manifest(root: Path) -> int:
    """Write the manifest; return the number of files it names."""
    text = manifest_text(root)
    (root / "template" / MANIFEST).write_text(text, encoding="utf-8", newline="\n")
    return text.count("\n") - 1


def _is_cache(name: str) -> bool:
    """Tell whether tools made a file of the library's folder: nothing of ours there is hidden."""
    return any(part.startswith(".") or part == "__pycache__" for part in name.split("/"))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()
