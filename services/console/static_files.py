"""The style sheets and the icon: read once, and the same for everybody."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
OWN = Path(__file__).with_name("static")
CSS = "text/css"
FILES = {
    "govuk.css": (ROOT / "third_party/govuk-frontend/govuk-frontend.min.css", CSS),
    "console.css": (OWN / "console.css", CSS),
    "icon.svg": (OWN / "icon.svg", "image/svg+xml"),
}
# The typeface of GOV.UK may be used there alone, and its files are not here.
_FONT_FACES = re.compile(r"@font-face\{[^}]*\}")


@dataclass(frozen=True)
class StaticFile:
    """A file as it is sent."""

    content: bytes
    media_type: str


@cache
def static_file(name: str) -> StaticFile | None:
    """A file by its name in the address; nothing if there is none."""
    if name not in FILES:
        return None
    path, media_type = FILES[name]
    text = path.read_text(encoding="utf-8")
    return StaticFile(_FONT_FACES.sub("", text).encode(), media_type)
