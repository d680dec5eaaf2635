"""The built-in page, in one file that refers to nothing outside of the server."""

from __future__ import annotations

import base64
import hashlib
import html
from dataclasses import dataclass
from importlib.resources import files

from seqcli.evaluation.reader import SearchSettings
from seqcli.figures.hover import HOVER_CSS, HOVER_JS
from seqcli.figures.page import json_in_script
from seqcli.serving.engine import Engine
from seqcli.serving.limits import Limits

FOLDER = files("seqcli.serving")


@dataclass(frozen=True)
class Page:
    """The page and the headers that go with it."""

    content: bytes
    headers: dict[str, str]


def page_response(engine: Engine, settings: SearchSettings, limits: Limits) -> Page:
    """The page for an engine. It may run the script that is in it and no other, and ask this server and nobody else."""
    about = {
        "texts": engine.reads_texts,
        "images": engine.reads_images,
        "features": engine.tagging.has_features,
        "tasks": list(engine.tagging.tasks),
        "beam": settings.beam_size,
        "penalty": settings.length_penalty,
        "most": limits.beam_size,
        "shown": limits.shown_characters,
        "characters": limits.characters,
        "bytes": limits.body,
    }
    script = f"\n{HOVER_JS}\n{_file('page.js')}\n"
    page = _file("page.html")
    for name, content in {
        "NAME": html.escape(engine.name),
        "ABOUT": html.escape(engine.about),
        "STYLE": f"{HOVER_CSS}\n{_file('page.css')}",
        "SETTINGS": json_in_script(about),
        "SCRIPT": script,
    }.items():
        page = page.replace(f"<!--{name}-->", content)
    policy = {
        "default-src": "'none'",
        "script-src": f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'",
        "style-src": "'unsafe-inline'",
        "img-src": "data: blob:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    headers = {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Referrer-Policy": "no-referrer",
    }
    return Page(page.encode(), headers)


def _file(name: str) -> str:
    return FOLDER.joinpath(name).read_text(encoding="utf-8")
