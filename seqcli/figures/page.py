"""A page of HTML in one file that refers to nothing outside of itself, light or dark as its reader's screen is."""

from __future__ import annotations

import html
import json

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{look}{style}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
<script>
{script}
</script>
</body>
</html>
"""
LOOK = """:root { --paper: #ffffff; --ink: #1a1a1a; --faint: #6a6a6a; --line: #d8d8d8; --best: #0072B2; --bar: #56B4E955; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16181d; --ink: #e8e8e8; --faint: #a3a3a3; --line: #3a3e47; --best: #56B4E9; --bar: #0072B288; }
}
body { background: var(--paper); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; margin: 1rem; }
h1 { font-size: 1.25rem; margin: 0 0 .8rem; overflow-wrap: anywhere; }
"""


def whole_page(title: str, body: str, *, style: str, script: str) -> str:
    """A page with its `title`, which is escaped, above its `body`, which is HTML; `style` and `script` are what it needs beside the common look."""
    return PAGE.format(title=html.escape(title), look=LOOK, style=style, body=body, script=script)


def json_in_script(value: object) -> str:
    """JSON that may stand within a script: nothing in it can end the script, or start another."""
    content = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return content.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
