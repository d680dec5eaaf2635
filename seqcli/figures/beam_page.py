"""A beam search as a page: its tree, and on a click or a touch the whole hypothesis that a node ends. One file without anything from elsewhere."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from seqcli.figures.beam_tree import score, share
from seqcli.figures.branches import Branch, best_path, rows_of
from seqcli.figures.labels import letters_wide, visible
from seqcli.figures.page import json_in_script, whole_page

LETTER, ROW, GAP, BESIDE = 8.5, 34, 26, 8  # pixels


@dataclass(frozen=True)
class TokenRow:
    """A row of the table of tokens: the token, its probability, rank and entropy in bits, the alternatives with their probabilities, and what was
    looked at with the weights."""

    token: str
    probability: float
    rank: int
    entropy: float
    alternatives: Sequence[tuple[str, float]]
    looks: Sequence[tuple[str, float]]


def beam_page(
    source: str,
    hypotheses: Sequence[tuple[str, float]],
    tokens: Sequence[TokenRow],
    branches: Sequence[Branch],
    *,
    verdict: str | None = None,
) -> str:
    """The page of one source: the hypotheses with their scores, the table of tokens, and the tree. All text is escaped."""
    found = "".join(
        f"<tr><td>{place}</td><td>{score(value)}</td><td class=text>{_text(text)}</td></tr>"
        for place, (text, value) in enumerate(hypotheses, start=1)
    )
    said = f"<p>{_text(verdict)}</p>" if verdict else ""
    tree = _tree(branches) if branches else "<p>The search had nothing to do.</p>"
    body = (
        f"{said}<h2>Hypotheses</h2><div class=wide><table><tr><th><th>score<th>text</tr>{found}</table></div>"
        f"<h2>Tokens</h2><div class=wide>{_table(tokens)}</div>"
        f"<h2>The beam</h2><p id=told>Point at a node, or go there with the tab key.</p><div class=wide>{tree}</div>"
        f"<p class=key><b class=best>blue</b> best hypothesis · framed: kept · <span class=pruned>dashed: pruned</span> · "
        f"at the end: place and score</p>"
    )
    title = visible(source) if source.isspace() else source
    return whole_page(title, body, style=_STYLE, script=_script(branches))


def _text(text: str) -> str:
    return html.escape(visible(text) if text.isspace() else text)


def _table(tokens: Sequence[TokenRow]) -> str:
    looks = any(token.looks for token in tokens)
    head = "<tr><th>token<th>probability<th>rank<th>entropy, bits<th>alternatives" + ("<th>looks at" if looks else "")
    rows = []
    for token in tokens:
        others = " ".join(
            f"<span class=other>{_text(visible(name))} <i>{share(of)}</i></span>" for name, of in token.alternatives
        )
        seen = " ".join(f"<span class=other>{_text(visible(name))} <i>{of:.0%}</i></span>" for name, of in token.looks)
        bar = f"<span class=bar style='width:{100 * token.probability:.1f}%'></span>{share(token.probability)}"
        rows.append(
            f"<tr><td class=text>{_text(visible(token.token))}<td class=share>{bar}<td>{token.rank}<td>{token.entropy:.2f}"
            f"<td>{others}" + (f"<td>{seen}" if looks else "")
        )
    return f"<table>{head}{''.join(rows)}</table>"


def _tree(branches: Sequence[Branch]) -> str:
    """The tree as SVG, laid out as on paper."""
    rows, best = rows_of(branches), best_path(branches)
    widths: dict[int, float] = {}
    for branch in branches:
        label = letters_wide(visible(branch.label)) + len(share(branch.probability)) + 1
        widths[branch.step] = max(widths.get(branch.step, 0.0), label * LETTER + 2 * BESIDE)
    lefts, left = {}, 4.0
    for step in sorted(widths):
        lefts[step] = left
        left += widths[step] + GAP
    lines, nodes = [], []
    for number, branch in enumerate(branches):
        looks = " ".join(filter(None, ["best" if number in best else "", branch.fate]))
        x, y, wide = lefts[branch.step], rows[number] * ROW + 4, widths[branch.step]
        if branch.parent is not None:
            start, above = lefts[branch.step - 1] + widths[branch.step - 1], rows[branch.parent] * ROW + 4 + 12
            way = f"M{start:.1f} {above}H{(start + x) / 2:.1f}V{y + 12}H{x:.1f}"
            lines.append(
                f"<path class='{looks}' data-n={number} style='stroke-width:{1 + 3 * branch.probability:.1f}' d='{way}'/>"
            )
        end = (
            ""
            if branch.place is None
            else f"<text x={x + wide + 6:.1f} y={y + 16}>{branch.place}: {score(branch.score)}</text>"
        )
        nodes.append(
            f"<g class='{looks}' data-n={number} tabindex=0><rect x={x:.1f} y={y} width={wide:.1f} height=24 rx=5 />"
            f"<text x={x + BESIDE:.1f} y={y + 16}>{_text(visible(branch.label))}</text>"
            f"<text class=share x={x + wide - BESIDE:.1f} y={y + 16} text-anchor=end>{share(branch.probability)}</text>{end}</g>"
        )
    height = (max(rows) + 1) * ROW
    return f"<svg width={left + 90:.0f} height={height} role=img aria-label='the tree of the beam'>{''.join(lines)}{''.join(nodes)}</svg>"


def _script(branches: Sequence[Branch]) -> str:
    nodes = [
        [branch.parent, branch.label, share(branch.probability), score(branch.score), branch.fate]
        for branch in branches
    ]
    return f"const nodes={json_in_script(nodes)};" + _BEHAVIOUR


_STYLE = """
body{margin:1.5rem auto;max-width:72rem;padding:0 1rem}h2{font-size:1rem;margin:1.6rem 0 .4rem}.wide{overflow-x:auto}
table{border-collapse:collapse}th{text-align:left;color:var(--faint);font-weight:400}
th,td{padding:.15rem 1rem .15rem 0;border-bottom:1px solid var(--line);white-space:nowrap}
td.text{white-space:normal;min-width:3rem;font-weight:600}
td.share{min-width:8rem}.bar{display:block;height:1.4em;margin-bottom:-1.4em;background:var(--bar);border-radius:3px}
.other{margin-right:.7rem}i,.share{color:var(--faint);font-style:normal;font-size:.85em}td.share{color:inherit}
svg{font:14px ui-monospace,monospace;fill:var(--ink)}svg rect{fill:var(--paper);stroke:var(--ink)}
svg .pruned,svg .outdone{fill:var(--faint)}svg .best{fill:var(--best);font-weight:700}svg .share{fill:var(--faint);font-size:11px}
svg path,svg path.pruned,svg path.best{fill:none;stroke:var(--ink)}svg path.pruned{stroke:var(--faint);stroke-dasharray:4 3}
svg path.best{stroke:var(--best)}svg .pruned rect{stroke:none}svg .outdone rect{stroke:var(--faint)}
svg .best rect{stroke:var(--best);stroke-width:2.5}b.best{color:var(--best)}
svg g{cursor:pointer;outline:none}svg g.on rect,svg path.on{stroke:#D55E00;stroke-width:3}
.key{color:var(--faint)}#told{min-height:1.5em;overflow-wrap:anywhere}
"""

_BEHAVIOUR = """
const told=document.getElementById('told');
function show(event){
  const node=event.target.closest('g[data-n]');if(!node)return;
  const way=[];for(let n=+node.dataset.n;n!==null;n=nodes[n][0])way.unshift(n);
  document.querySelectorAll('[data-n]').forEach(one=>one.classList.toggle('on',way.includes(+one.dataset.n)));
  const last=nodes[way[way.length-1]];
  told.textContent=way.map(n=>nodes[n][1]+' ('+nodes[n][2]+')').join('  ')+'  —  '+last[4]+', score '+last[3];
}
for(const name of ['mouseover','focusin','click'])document.addEventListener(name,show);
"""
