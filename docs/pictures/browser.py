"""A page of a run as a PNG, by Chromium without a window."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"]
SECONDS = 120


def find() -> str | None:
    return next((found for found in map(shutil.which, NAMES) if found), None)


def screenshot(browser: str, page: Path, picture: Path, width: int, height: int) -> None:
    """The upper `height` pixels of the page, in a window of `width`."""
    with tempfile.TemporaryDirectory(prefix="browser") as profile:
        command = [browser, "--headless=new", "--hide-scrollbars", "--disable-gpu", f"--user-data-dir={profile}",
                   f"--window-size={width},{height}", f"--screenshot={picture.resolve()}", page.resolve().as_uri()]
        if os.geteuid() == 0:
            command.insert(1, "--no-sandbox")  # which root cannot have
        result = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    if result.returncode != 0 or not picture.exists():
        raise RuntimeError(f"{browser} made no picture of {page}:\n{result.stderr}")
