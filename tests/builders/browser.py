"""Pages in headless Chromium: what a script in a page finds, and what the console reports."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = "chromium is missing (apt-get install chromium)"
#: With this variable of the environment, tests fail instead of being skipped without Chromium.
REQUIRED = "REQUIRE_CHROMIUM"

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get(REQUIRED), reason=MISSING
)

#: Windows of Chromium are not narrower; lower ones lose height to its bars.
LEAST_WIDTH, LEAST_HEIGHT = 500, 500

#: Widths and heights of a phone, a small laptop and a usual screen.
SCREENS = ((390, 844), (1024, 768), (1440, 900))

#: A function of JavaScript: names of the elements that stick out of the page or of their own box,
#: except what can be scrolled.
CLIPPED = """
  const clipped = () => {
    const right = document.documentElement.clientWidth + 0.5;
    const scrolls = (each) => each && (/auto|scroll/.test(getComputedStyle(each).overflowX)
      || scrolls(each.parentElement));
    return [...document.querySelectorAll("body *:not(dialog, dialog *, svg *, script)")]
      .filter((each) => {
        const box = each.getBoundingClientRect();
        const inline = getComputedStyle(each).display === "inline";
        if (!box.width || inline || scrolls(each)) return false;
        // The text above a short scale bar may be wider than the bar.
        const wider = each.scrollWidth > each.clientWidth + 1 && each.id !== "scale";
        return box.left < -0.5 || box.right > right || wider;
      })
      .map((each) => [each.tagName, each.id, each.className].join(" ")).join(", ");
  };
"""


def browse(
    page: str,
    folder: Path,
    script: str = "",
    *,
    size: tuple[int, int] = (1000, 1200),
    picture: Path | None = None,
) -> tuple[dict[str, str], list[str]]:
    """``data-...`` of the body after a script, which may wait; and the console.

    Args:
      folder: Where links of the page point from.
      picture: A screenshot to write; the script's results are then not returned.
    """
    body = f"addEventListener('load', async () => {{ {script}; document.body.dataset.done = 1; }});"
    page = page.replace("</body>", f"<script>{body}</script></body>")
    if "script-src" not in page:
        page = page.replace("default-src 'none'", "default-src 'none'; script-src 'unsafe-inline'")
    if size[0] < LEAST_WIDTH or size[1] < LEAST_HEIGHT:
        page = _in_frame(page, size)
    path = folder / "browsed.html"
    path.write_text(page, encoding="utf-8")
    shot = [f"--screenshot={picture}"] if picture else ["--dump-dom"]
    done = _chromium(path, f"--window-size={size[0]},{size[1]}", "--enable-logging=stderr", *shot)
    console = [
        line
        for line in done.stderr.splitlines()
        # A performance hint about reading a canvas, which only tests do.
        if "CONSOLE" in line
        and "willReadFrequently" not in line
        and "will-read-frequently" not in line
    ]
    found = re.search(r"<body([^>]*)>", done.stdout)
    return dict(re.findall(r'data-(\w+)="([^"]*)"', found[1])) if found else {}, console


def print_page(page: str, folder: Path, pdf: Path) -> None:
    path = folder / "printed.html"
    path.write_text(page, encoding="utf-8")
    _chromium(path, "--no-pdf-header-footer", f"--print-to-pdf={pdf}")


def _in_frame(page: str, size: tuple[int, int]) -> str:
    """A page that shows the page in a frame, as narrow as a phone, and gets its results."""
    hand_on = "document.body.dataset.done = 1; Object.assign(parent.document.body.dataset,"
    page = page.replace("document.body.dataset.done = 1;", f"{hand_on} document.body.dataset);")
    width, height = size
    style = f"width:{width}px;height:{height}px;border:0"
    frame = f'<iframe style="{style}" srcdoc="{html.escape(page)}"></iframe>'
    return f'<meta charset="utf-8"><body style="margin:0">{frame}</body>'


def _chromium(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM, MISSING
    return subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu"),
            *(f"--user-data-dir={path.parent / 'profile'}", "--virtual-time-budget=600000"),
            *(*arguments, path.as_uri()),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
