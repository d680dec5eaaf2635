"""The few elements of HTML that a report is made of. Every text goes through `text`, so nothing from the data is taken for markup."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Sequence
from typing import Any, NewType

from seqcli.json_text import json_text

Html = NewType("Html", str)
"""Text that is markup already, all that was not having been escaped."""

LONGEST = 600
"""Characters that are shown of a text from the data."""


def text(content: str, *, longest: int | None = None) -> Html:
    """Text as it is to be read: markup in it is none, what steers a terminal or a line's direction is shown as a box."""
    shown = content if longest is None or len(content) <= longest else content[:longest] + "…"
    plain = "".join("\ufffd" if _steers(each) else each for each in shown)
    return Html(html.escape(plain, quote=True))


def _steers(character: str) -> bool:
    """Whether it is a control character, or one of those that turn the direction of all that follows."""
    return (
        unicodedata.category(character) == "Cc" and character not in "\n\t"
    ) or character in "\u202a\u202b\u202c\u202d\u202e"


def quoted(content: str) -> Html:
    """A text from the data, its own direction kept apart from the page's; an empty one is said to be so."""
    if not content:
        return Html('<span class="faint">(empty)</span>')
    return Html(f'<bdi class="data">{text(content, longest=LONGEST)}</bdi>')


def joined(parts: Sequence[Html], between: str = "") -> Html:
    """Elements one after the other."""
    return Html(between.join(parts))


def paragraph(content: Html, kind: str = "") -> Html:
    """A paragraph; `kind` is the class of its look."""
    return Html(f"<p{_class(kind)}>{content}</p>")


def number(value: float, shown: str, **about: str | int) -> Html:
    """A number as people read it, which carries what it is exactly, and what it is `about` (`data-…` attributes), for programs."""
    attributes = "".join(f' data-{name}="{html.escape(str(given), quote=True)}"' for name, given in about.items())
    return Html(f'<data value="{value!r}"{attributes} title="{value!r}">{text(shown)}</data>')


def table(columns: Sequence[str], rows: Sequence[Sequence[Html]], *, left: int = 1, kind: str = "") -> Html:
    """A table whose first `left` columns are flush left, the others, which have numbers, flush right; it scrolls by itself where it is wide."""
    head = "".join(
        f'<th scope="col"{_class("" if at < left else "n")}>{text(name)}</th>' for at, name in enumerate(columns)
    )
    body = "".join(f"<tr>{''.join(_cell(cell, at, left) for at, cell in enumerate(row))}</tr>" for row in rows)
    return scrolling(Html(f"<table{_class(kind)}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"))


def _cell(content: Html, at: int, left: int) -> str:
    if at == 0:
        return f'<th scope="row">{content}</th>'
    return f"<td{_class('' if at < left else 'n')}>{content}</td>"


def scrolling(content: Html) -> Html:
    """What may be wider than the page, in a frame that scrolls by itself, with the keyboard too."""
    return Html(f'<div class="scroll" tabindex="0">{content}</div>')


def section(name: str, title: str, content: Html) -> Html:
    """A chapter of the page; `name` is what a link to it ends in."""
    return Html(f'<section id="{html.escape(name, quote=True)}"><h2>{text(title)}</h2>\n{content}\n</section>\n')


def heading(title: str) -> Html:
    """A heading within a chapter."""
    return Html(f"<h3>{text(title)}</h3>")


def folded(title: str, content: Html) -> Html:
    """What is shown when its title is touched."""
    return Html(f"<details><summary>{text(title)}</summary>{content}</details>")


def pre(content: str) -> Html:
    """Text whose lines stay as they are."""
    return scrolling(Html(f"<pre>{text(content)}</pre>"))


def json_script(name: str, record: Any) -> Html:
    """Data for programs, which a browser does not show or run."""
    content = json_text(record, compact=True)
    # within a script only these could end it, or start another
    safe = content.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return Html(f'<script type="application/json" id="{html.escape(name, quote=True)}">{safe}</script>\n')


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
