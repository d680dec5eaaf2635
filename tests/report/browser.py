"""A page opened in a real browser without a screen: what it measures there, and what the browser complains of."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FRAME = """<!DOCTYPE html><meta charset="utf-8"><link rel="icon" href="data:,"><body style="margin:0">
<iframe id="page" style="border:0;width:{width}px;height:3000px" src="{name}"></iframe>
<script>
addEventListener("load", () => {{
  const frame = document.getElementById("page"), view = frame.contentWindow, page = frame.contentDocument;
  const root = page.documentElement, style = view.getComputedStyle(root);
  const hovered = page.querySelectorAll(".attention-hover .line button")[2];
  if (hovered) hovered.dispatchEvent(new view.PointerEvent("pointerenter"));
  const found = {{
    width: root.clientWidth,
    needs: root.scrollWidth,
    background: style.backgroundColor,
    ink: style.color,
    fetched: view.performance.getEntriesByType("resource").map((entry) => entry.name),
    sections: [...page.querySelectorAll("section[id]")].map((each) => each.id).filter((id) => id),
    hovers: page.querySelectorAll(".attention-hover .model").length,
    said: page.querySelector(".attention-hover .said")?.textContent ?? null,
    figures: [...page.querySelectorAll("svg.figure")].map((each) => each.getBoundingClientRect().width),
  }};
  document.body.textContent = "FOUND" + JSON.stringify(found) + "END";
}});
</script>
"""


@dataclass(frozen=True)
class Opened:
    """What a page measures, and the lines of the browser's console."""

    found: dict[str, Any]
    console: list[str]


def browser() -> str:
    """The browser of this machine; the test is skipped where there is none."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser is installed here to open the page in ({', '.join(NAMES)})")
    return found


def opened(page: Path, *, width: int, dark: bool) -> Opened:
    """The page in a frame of that width, so that it is laid out as on a screen as wide."""
    frame = page.with_name(f"frame-{width}.html")
    frame.write_text(FRAME.format(width=width, name=page.name), encoding="utf-8")
    ended = subprocess.run(
        [
            browser(),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--allow-file-access-from-files",
            "--enable-logging=stderr",
            f"--user-data-dir={page.parent / 'profile'}",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            "--window-size=1400,3000",
            "--virtual-time-budget=10000",
            "--dump-dom",
            frame.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    dumped = re.search(r"FOUND(.*)END", ended.stdout, flags=re.DOTALL)
    assert dumped, f"the browser showed nothing: {ended.stdout[-500:]} {ended.stderr[-2000:]}"
    console = [line for line in ended.stderr.splitlines() if "CONSOLE" in line]
    return Opened(json.loads(html.unescape(dumped.group(1))), console)
