"""Find an installed Chromium."""

from __future__ import annotations

import os
import shutil

NAMES = ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str | None:
    """The path of a Chromium: `$CHROMIUM`, else the first of the usual names found; None without one."""
    if named := os.environ.get("CHROMIUM"):
        return shutil.which(named)
    return next((found for name in NAMES if (found := shutil.which(name))), None)
