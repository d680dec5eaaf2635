"""What a symbol costs by its place in the translation: `make bench-positions`.

Untrained models of the sizes in `recipes/` write translations of 400 symbols to sentences of Multi30k, by the search that `seqcli translate`
uses; the time of each step is shown by the position that it writes, and beside it what a step costs that reads the whole prefix again, as it
must where nothing is cached. Data: the folder that SEQCLI_TEST_DATA names.

    python benchmarks/positions.py [--sizes tiny,small,rnn] [--beam 5] [--rounds 3] [-o docs/images/time-by-position.png]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from translate import data, untrained

from seqcli.evaluation.translator import Translator
from seqcli.figures.saving import save_figures
from seqcli.figures.style import LIGHT, LINES, SMALL, add_axes, cut_to_fit, drawing, paper
from seqcli.search.beam import beam_search
from seqcli.search.demands import Demands
from seqcli.symbols import UNK
from seqcli.types import Batch, State

LONGEST = 400
SENTENCES = 16
WINDOW = 10
"""Positions whose median is a point."""
AGAIN = (10, 50, 100, 200, 400)
"""Positions at which the prefix is read again."""


def main() -> None:
    """Measure, draw, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="tiny,small,rnn")
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/images/time-by-position.png"))
    options = parser.parse_args()
    cached: dict[str, list[float]] = {}
    again: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes.split(","):
            translator, batch = loaded(untrained(size, Path(folder)))
            with torch.inference_mode():
                rounds = [step_times(translator, batch, options.beam) for _ in range(options.rounds)]
                again[size] = [reading_again(translator, batch, options.beam, length) for length in AGAIN]
            cached[size] = smoothed(rounds)
            print(table_row(size, cached[size], again[size]), flush=True)
    save_figures([drawn(cached, again)], options.output)


def loaded(run: Path) -> tuple[Translator, Batch]:
    """A model with the sentences that it is to translate."""
    import seqcli

    found = seqcli.load(run, ["threads=null"])
    lines = data("test_2016_flickr.tok.en").read_text().splitlines()[:SENTENCES]
    translator = found.translator
    translator.model.eval()
    return translator, translator.batch(found.examples(lines))


def step_times(translator: Translator, batch: Batch, beam: int) -> list[float]:
    """Milliseconds from each step to the next, what the search does between them counted."""
    starts: list[float] = []

    def step(ids: Tensor, state: State) -> tuple[Tensor, State]:
        starts.append(time.perf_counter())
        return translator.model.step(ids, state)

    demands = [Demands(min_length=LONGEST)] * SENTENCES
    beam_search(step, translator.model.start(batch), [LONGEST] * SENTENCES, beam_size=beam, demands=demands)
    starts.append(time.perf_counter())
    return [1000 * (after - before) for before, after in zip(starts, starts[1:], strict=False)]


def reading_again(translator: Translator, batch: Batch, beam: int, length: int) -> float:
    """Milliseconds that a step takes which reads `length` symbols of each hypothesis from the first one on."""
    model = translator.model
    rows = torch.arange(SENTENCES).repeat_interleave(beam)
    state = model.start(batch).select(rows, rows)
    ids = torch.full((len(rows), length), UNK)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        features, _ = model.decoder(ids, state)
        model.output(features[:, -1:])
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def smoothed(rounds: Sequence[Sequence[float]]) -> list[float]:
    """The median of all rounds in each window of positions."""
    steps = len(rounds[0])
    return [
        statistics.median(each for one in rounds for each in one[start : start + WINDOW])
        for start in range(0, steps, WINDOW)
    ]


def table_row(size: str, cached: Sequence[float], again: Sequence[float]) -> str:
    """A line of Markdown: milliseconds a step at some positions, cached and read again."""
    places = [cached[min(place // WINDOW, len(cached) - 1)] for place in AGAIN]
    return (
        f"| {size} | " + " | ".join(f"{one:.0f} / {other:.0f}" for one, other in zip(places, again, strict=True)) + " |"
    )


def drawn(cached: dict[str, list[float]], again: dict[str, list[float]]):  # type: ignore[no-untyped-def]
    """A line for each size, and a dashed one for reading the prefix again."""
    with drawing(LIGHT, list(cached)):
        figure = paper(4.6, 3.0)
        axes = add_axes(figure, 0, 0, 4.6, 3.0)
        for colour, size in zip(LINES, cached, strict=False):
            positions = [start + WINDOW / 2 for start in range(0, WINDOW * len(cached[size]), WINDOW)]
            axes.plot(positions, cached[size], color=colour, linewidth=1.4)
            axes.plot(AGAIN, again[size], color=colour, linewidth=1.0, linestyle="--", marker="o", markersize=3)
            axes.annotate(
                size,
                (positions[-1], cached[size][-1]),
                xytext=(4, 0),
                textcoords="offset points",
                color=colour,
                va="center",
            )
        axes.set_yscale("log")
        axes.set_xlabel("position of the symbol that is written")
        axes.set_ylabel("milliseconds a step")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", linewidth=0.4, alpha=0.4)
        axes.text(0.02, 0.98, "dashed: the prefix is read again", transform=axes.transAxes, va="top", fontsize=SMALL)
        cut_to_fit(figure)
    return figure


if __name__ == "__main__":
    main()
