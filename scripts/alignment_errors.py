"""Print what alignment error rates the attention of runs has, by step and layer: a Markdown table, a row each.

    python scripts/alignment_errors.py RUN…

Examples are those of the runs' test splits, a thousand at most, written as the references have them. `make alignment` trains runs on dates
for each attention, and prints their table.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import seqcli
from seqcli.analysis.alignment import AlignmentSettings
from seqcli.build.data import open_split
from seqcli.models.seq2seq import OVER_MEMORY
from seqcli.nn.trace import trace_attention
from seqcli.run import Run

STEPS: tuple[Literal["output", "input"], ...] = ("output", "input")


def layers_of(run: Run) -> int:
    """How many layers, or hops, of attention over the source a model has."""
    example = run.examples(["1"])[0]
    batch = run.translator.batch([example], [run.translator.encode_target("1")])
    with trace_attention(run.translator.model) as maps:
        run.translator.model(batch)
    return sum(OVER_MEMORY.fullmatch(name) is not None for name in maps)


def rows(folder: Path) -> list[str]:
    """The table's rows of one run."""
    run = seqcli.load(folder)
    corpus = open_split(run.recipe.data, "test")
    assert corpus is not None
    right = run.evaluate(corpus=corpus.first(1000), metrics=["exact_match"]).metrics["exact_match"].value
    found = []
    for layer in range(1, layers_of(run) + 1):
        for step in STEPS:
            settings = AlignmentSettings(step, layer)
            metrics = run.align(corpus=corpus.first(1000), settings=settings, intervals=1000).metrics
            low, high = metrics["aer"].interval or (0.0, 0.0)
            figures = (f"{metrics[name].value:.1f}" for name in ("precision", "recall"))
            aer = f"{metrics['aer'].value:.1f} ({low:.1f}–{high:.1f})"
            found.append(f"| {folder.name} | {right:.1f} | {layer} | {step} | {aer} | {' | '.join(figures)} |")
    return found


def main() -> None:
    print("| run | exact match | layer | step | AER | precision | recall |\n|---|---|---|---|---|---|---|")
    for folder in sys.argv[1:]:
        print("\n".join(rows(Path(folder))), flush=True)


if __name__ == "__main__":
    main()
