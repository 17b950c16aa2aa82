"""Chromium, headless: what a page is when it has run, and how it looks."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from tests.tools import tool

_FLAGS = (
    "--headless=new", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-extensions", "--disable-dev-shm-usage", "--disable-features=Translate",
    "--force-color-profile=srgb", "--run-all-compositor-stages-before-draw", "--timeout=60000",
    "--virtual-time-budget=3000",
)  # fmt: skip


def dom(page: Path, *flags: str) -> str:
    """Return the page's document after its scripts have run."""
    return _chromium(page, "--dump-dom", *flags)


def screenshot(page: Path, picture: Path, width: int, height: int, *flags: str) -> Path:
    """Draw a page as a PNG."""
    _chromium(page, f"--screenshot={picture}", f"--window-size={width},{height}", *flags)
    return picture


def _chromium(page: Path, *flags: str) -> str:
    program = tool("chromium")
    # Its sandbox does not run as root, as in a container.
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and not os.geteuid() else []
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        command = [program, *_FLAGS, *sandbox, f"--user-data-dir={profile}", *flags, page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
