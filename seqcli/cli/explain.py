"""`seqcli explain`: why a model wrote what it wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqcli.cli.arguments import (
    BeamSize,
    Checkpoint,
    Dark,
    Images,
    Json,
    Overrides,
    Quiet,
    RunFolder,
    Targets,
    TaskName,
    Texts,
    check_picture,
    refuse_uneven,
)

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

    from seqcli.analysis.explanation import Explanation

SURE, UNSURE = 0.9, 0.5
"""Probabilities from which on a token is shown as sure, and below which as unsure."""
PRUNED_SHOWN = 3


def explain(
    run: RunFolder,
    overrides: Overrides = None,
    text: Texts = None,
    task: TaskName = None,
    image: Images = None,
    target: Targets = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Draw the beam's tree: .png, .svg or .pdf, or a page to click on: .html."),
    ] = None,
    alternatives: Annotated[int, typer.Option("--alternatives", min=1, help="Symbols shown for each place.")] = 5,
    dark: Dark = False,
    beam_size: BeamSize = None,
    checkpoint: Checkpoint = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show how sure a model is of each symbol, what else it might write, what it attends to, and what its beam drops."""
    from seqcli.cli.beam_tree import PAGES, draw
    from seqcli.cli.console import note, notes, print_json, tell_cut
    from seqcli.errors import RecipeError
    from seqcli.run import load

    notes.quiet = quiet
    check_picture(output, f"--output {output}", but=PAGES)
    texts, images = text or [], [str(path) for path in image or []]
    count = max(len(texts), len(images))
    if not count:
        raise RecipeError("nothing to explain; give --text SENTENCE or --image FILE")
    refuse_uneven(count, target)
    loaded = load(run, overrides or [], checkpoint=checkpoint)
    explanations = loaded.explain(
        texts, target, images=images, task=task, beam_size=beam_size, alternatives=alternatives
    )
    tell_cut(loaded.translator)
    if as_json:
        print_json([one.as_json() for one in explanations])
    else:
        for number, one in enumerate(explanations):
            _print(one, first=number == 0)
    if output is not None:
        for path in draw(explanations, output, dark=dark):
            note(f"wrote {path}")


def _print(explanation: Explanation, *, first: bool) -> None:
    """One explanation on the terminal: the target coloured, its symbols, the hypotheses, the tree."""
    from seqcli.cli.console import data, excerpt, table
    from seqcli.figures.beam_tree import score

    if not first:
        data.print()
    data.print(excerpt(explanation.source), style="bold")
    data.print(_coloured(explanation))
    data.print(f"score {score(explanation.score)}, log-probability {explanation.log_prob:.4f}", style="dim")
    if explanation.verdict:
        data.print(explanation.verdict)
    data.print()
    looks = ["looks at"] if explanation.has_attention else []
    columns = ["token", "alternatives", *looks, "probability", "rank", "bits"]
    data.print(table(None, columns, _rows(explanation), left=2 + len(looks)))
    data.print()
    rows = [
        [str(place), score(one.score), excerpt(one.text)] for place, one in enumerate(explanation.hypotheses, start=1)
    ]
    data.print(table(None, ["", "score", "hypothesis"], rows))
    data.print()
    data.print(_tree(explanation))


def _coloured(explanation: Explanation) -> Text:
    """The target's symbols, those that the model was less sure of marked."""
    from rich.text import Text

    from seqcli.figures.labels import visible

    line = Text("→ ")
    for token in explanation.tokens:
        style = "green" if token.probability >= SURE else "yellow" if token.probability >= UNSURE else "red"
        line.append(visible(token.token), style=f"{style}{'' if token.rank == 1 else ' underline'}")
        line.append(" ")
    return line


def _rows(explanation: Explanation) -> list[list[str]]:
    from seqcli.cli.beam_tree import likely, looked_at
    from seqcli.cli.console import excerpt
    from seqcli.figures.beam_tree import share
    from seqcli.figures.labels import visible

    rows = []
    for token in explanation.tokens:
        others = "  ".join(f"{visible(one.token)} {share(one.probability)}" for one in likely(token))
        seen = "  ".join(f"{visible(look.word)} {look.weight:.0%}" for look in looked_at(token))
        looks = [excerpt(seen)] if explanation.has_attention else []
        cells = [share(token.probability), str(token.rank), f"{token.entropy:.2f}"]
        rows.append([excerpt(visible(token.token)), excerpt(others), *looks, *cells])
    return rows


def _tree(explanation: Explanation) -> Tree:
    """The beam: symbols up to where two hypotheses part are one line; what was pruned on the way stands below it."""
    from rich.text import Text
    from rich.tree import Tree

    from seqcli.figures.beam_tree import score, share
    from seqcli.figures.labels import visible

    nodes, tokens = explanation.tree, [visible(token) for token in explanation.tree_tokens]
    children: dict[int | None, list[int]] = {}
    for node in nodes:
        children.setdefault(node.parent, []).append(node.number)

    def ending(number: int) -> str:
        node = nodes[number]
        if node.place is not None:
            return f"  {node.place}: {score(node.score)}{' (cut)' if node.fate == 'cut' else ''}"
        return {
            "stopped": "  … (the search had enough)",
            "outdone": "  (outdone)",
            "finished": f"  {score(node.score)}",
        }.get(node.fate, "")

    def grow(branch: Tree, starts: list[int]) -> None:
        pruned = [number for number in starts if nodes[number].fate == "pruned"]
        kept = [number for number in starts if nodes[number].fate != "pruned"]
        for start in kept:
            chain, lost = [start], []
            while True:
                below = children.get(chain[-1], [])
                alive = [number for number in below if nodes[number].fate != "pruned"]
                if len(alive) != 1:
                    break
                lost += [number for number in below if number != alive[0]]
                chain.append(alive[0])
            label = Text(
                " ".join(f"{tokens[number]}" for number in chain), style="bold" if nodes[chain[-1]].place else ""
            )
            label.append(f" {share(_probability(explanation, chain))}", style="dim")
            label.append(ending(chain[-1]), style="cyan")
            grown = branch.add(label)
            below = children.get(chain[-1], [])
            _add_pruned(
                grown, [*lost, *(number for number in below if nodes[number].fate == "pruned")], explanation, tokens
            )
            grow(grown, [number for number in below if nodes[number].fate != "pruned"])
        _add_pruned(branch, pruned, explanation, tokens)

    tree = Tree(Text(f"beam: {len(nodes):,} hypotheses considered", style="dim"))
    grow(tree, children.get(None, []))
    return tree


def _probability(explanation: Explanation, chain: list[int]) -> float:
    """Of the symbols of a chain, one after the other."""
    import math

    return math.exp(sum(explanation.tree[number].step_log_prob for number in chain))


def _add_pruned(branch: Tree, pruned: list[int], explanation: Explanation, tokens: list[str]) -> None:
    """What was pruned, the best first, in one line."""
    from rich.text import Text

    from seqcli.figures.beam_tree import share

    if not pruned:
        return
    best = sorted(pruned, key=lambda number: explanation.tree[number].score, reverse=True)[:PRUNED_SHOWN]
    shown = "  ".join(f"{tokens[number]} {share(_probability(explanation, [number]))}" for number in best)
    rest = f"  and {len(pruned) - len(best)} more" if len(pruned) > len(best) else ""
    branch.add(Text(f"✂ {shown}{rest}", style="dim"))
