"""What `seqcli explain` draws: an explanation's tree as branches, pictures and pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from seqcli.analysis.explanation import Alternative, Explanation, Look, WrittenToken
from seqcli.cli.console import tell_missing_fonts
from seqcli.figures.beam_page import TokenRow, beam_page
from seqcli.figures.beam_tree import beam_tree_figure
from seqcli.figures.branches import Branch
from seqcli.figures.saving import numbered, save_figures
from seqcli.storage import write_file

PAGES = (".html", ".htm")
LIKELY, LOOKED = 0.001, 0.01
"""Probabilities and weights from which on they are shown."""


def likely(token: WrittenToken) -> list[Alternative]:
    """What might have been written, without what is next to impossible, but for the first two."""
    return [one for place, one in enumerate(token.alternatives) if place < 2 or one.probability >= LIKELY]


def looked_at(token: WrittenToken) -> list[Look]:
    """What was looked at, without what got next to nothing."""
    return [look for look in token.looks if look.weight >= LOOKED]


def draw(explanations: Sequence[Explanation], output: Path, *, dark: bool) -> list[Path]:
    """Draw the tree of each, and write them as the ending of `output` says, a picture or a page; the files."""
    if output.suffix.lower() in PAGES:
        files = numbered(output, len(explanations))
        for file, explanation in zip(files, explanations, strict=True):
            write_file(file, page(explanation).encode())
        return files
    tell_missing_fonts([token for one in explanations for token in one.tree_tokens])
    figures = [beam_tree_figure(branches(one), title=one.source, dark=dark) for one in explanations]
    return save_figures(figures, output)


def branches(explanation: Explanation) -> list[Branch]:
    """The tree as a figure takes it."""
    return [
        Branch(node.parent, node.step, token, math.exp(node.step_log_prob), node.score, node.fate, node.place)
        for node, token in zip(explanation.tree, explanation.tree_tokens, strict=True)
    ]


def page(explanation: Explanation) -> str:
    """The explanation as HTML."""
    tokens = [
        TokenRow(
            token.token,
            token.probability,
            token.rank,
            token.entropy,
            [(one.token, one.probability) for one in likely(token)],
            [(look.word, look.weight) for look in looked_at(token)],
        )
        for token in explanation.tokens
    ]
    hypotheses = [(one.text, one.score) for one in explanation.hypotheses]
    return beam_page(explanation.source, hypotheses, tokens, branches(explanation), verdict=explanation.verdict)
