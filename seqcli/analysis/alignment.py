"""Attention read as a word alignment: which word of the source each word of the target looked at.

A decoder reads y₀ … and writes y₁ …: at the step whose input is y_i its output is y_{i+1}, so there are two rows of attention that may
belong to a word y_i, one off from each other:

    output   the step that writes y_i, which has read the words before it only
    input    the next step, which has y_i as its input

Which is better depends on what a step knows. Where the next word is open, as in translation, a step must still find out what to write,
and the step that has read the word knows better what it came from: Chen et al. 2020, "Accurate word alignment induction from neural machine
translation", section 3, find so for Transformers. Where it is settled which comes next, as in dates, copies and other data whose links are
known exactly, the step that writes looks at what it writes, and the step after is already one further; measured on dates, `output` is far
better for recurrent decoders and for a Transformer alike, so it is what is usual here. In Bahdanau's order `input` has no meaning: the step
that reads a word attends with the state before that, which does not know it yet.

Heads are averaged. Of several layers a Transformer's last but one is usual, which aligns better than the last (Garg et al. 2019, "Jointly
learning to align and translate with Transformer models", section 4.2); of hops the last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seqcli.analysis.units import Span, text_spans, unit_spans
from seqcli.data.tokenizer import encode_source
from seqcli.errors import RecipeError
from seqcli.evaluation.attention import symbol_boxes, traced_pass
from seqcli.evaluation.pointing import centres_inside, inside
from seqcli.evaluation.translator import Translator
from seqcli.models.transformer import TransformerDecoder
from seqcli.symbols import EOS, Box, Example, Link

BATCH = 64

Step = Literal["input", "output"]


@dataclass(frozen=True)
class AlignmentSettings:
    """How attention becomes links.

    `step` says whose attention is a word's, that of the step which has it as `output`, or of the next, which has it as `input`; `layer`
    counts from 1, and None is what is usual for the model (see the module). Each word of the target is linked to the word of the source
    with the most attention, or, with a `threshold`, to all that have so much. With `words` characters are put together to words.
    """

    step: Step = "output"
    layer: int | None = None
    threshold: float | None = None
    words: bool = False


@dataclass(frozen=True)
class Attended:
    """The attention `weights (T,S)` from the T units of a target to the S of a source; what is missing to 1 in a row is outside of all
    units: on EOS, tags, spaces, or what is no named thing of an image. `layer`, from 1, says whose attention it is."""

    weights: NDArray[np.float64]
    layer: int

    def links(self, threshold: float | None = None) -> tuple[Link, ...]:
        """The links in the order of the target: to the most attended unit, if it has more than what is outside of all units; or to all
        units that have at least `threshold`."""
        found = []
        for target, row in enumerate(self.weights):
            if threshold is not None:
                found += [Link(int(source), target) for source in np.flatnonzero(row >= threshold)]
            elif row.size and row.max() > 1.0 - row.sum():
                found.append(Link(int(row.argmax()), target))
        return tuple(found)


def _chosen_layer(translator: Translator, settings: AlignmentSettings, layers: int) -> int:
    """The layer (from 1, of `layers`) that is asked for, or usual for the model. RecipeError if there is no such layer."""
    usual = max(1, layers - 1) if isinstance(translator.model.decoder, TransformerDecoder) else layers
    layer = settings.layer or usual
    if not 1 <= layer <= layers:
        raise RecipeError(f"there is no layer {layer} of attention over the source; there are 1 to {layers}")
    return layer


@dataclass(frozen=True)
class Weights:
    """The attention `weights (T,S)` over the source of one example while a target was written, its `ids` as far as the model can; of a `layer`,
    counted from 1, in the mean over its heads. In an image the first of S are the cells of a `grid` (rows, columns)."""

    weights: NDArray[np.float64]
    ids: list[int]
    layer: int
    grid: tuple[int, int] | None


def weights_of(
    translator: Translator, examples: Sequence[Example], targets: Sequence[Sequence[int]], settings: AlignmentSettings
) -> Iterator[Weights]:
    """The attention behind targets given as `ids`, EOS last where it was reached: references, or hypotheses of any search.

    They are passed through the model once more, which is the same computation as in the search. Raises `SeqcliError` for a model without
    attention.
    """
    for start in range(0, len(examples), BATCH):
        ids = [_that_fit(translator, target) for target in targets[start : start + BATCH]]
        traced = traced_pass(translator, translator.batch(examples[start : start + BATCH], ids))
        layer = _chosen_layer(translator, settings, len(traced.cross))
        weights = traced.cross[layer - 1].mean(dim=1).double().cpu().numpy()
        for one, cut in zip(weights, ids, strict=True):
            yield Weights(one, cut, layer, traced.grid)


def attended(
    translator: Translator, examples: Sequence[Example], targets: Sequence[Sequence[int]], settings: AlignmentSettings
) -> Iterator[Attended]:
    """The attention behind targets (see `weights_of`) from their units to those of the sources.

    The S units of an example with boxes are its boxes, each with the cells whose centre is in it. Raises `SeqcliError` for a model without
    attention, RecipeError for an image without boxes.
    """
    found = weights_of(translator, examples, targets, settings)
    for one, example, whole in zip(found, examples, targets, strict=True):
        if one.grid is None:
            spans = text_spans(translator.source_tokenizer, example.source, words=settings.words)
            columns = text_columns(translator, example, one.weights.shape[1], spans)
        else:
            columns = _cells(one.grid, _things(translator, example))
        rows = target_rows(_target_spans(translator, example, whole, words=settings.words), one.ids, settings.step)
        yield Attended(merged(one.weights, rows, columns), one.layer)


def merged(
    weights: NDArray[np.float64], rows: Sequence[Sequence[int]], columns: Sequence[Sequence[int]]
) -> NDArray[np.float64]:
    """Attention (T,S) of symbols as that of units, whose rows and columns are given: summed over what is looked at, averaged over who looks.

    A unit without rows looks at nothing.
    """
    whole = np.zeros((len(rows), len(columns)))
    for row, steps in enumerate(rows):
        if steps:
            mean = weights[list(steps)].mean(axis=0)
            whole[row] = [mean[list(places)].sum() for places in columns]
    return whole


def target_rows(units: Sequence[Span], ids: Sequence[int], step: Step) -> list[list[int]]:
    """The rows of attention that belong to each unit of a target that was passed through the model as `ids`.

    Row t reads ids[t-1] (BOS before the first) and writes ids[t], so a symbol's place is the row that has it as output, and the row
    after that the one that has it as input; where a search ended without EOS the last symbol was never read.
    """
    # what was written in the place of EOS is no symbol of a unit, but the row that did so has read the last one
    symbols = len(ids) - (len(ids) > 0 and ids[-1] == EOS)
    last, shift = (symbols, 0) if step == "output" else (len(ids), 1)
    return [[place + shift for place in range(start, end) if place + shift < last] for start, end in units]


def _that_fit(translator: Translator, ids: Sequence[int]) -> list[int]:
    longest = translator.longest_target
    return list(ids) if longest is None or len(ids) <= longest else [*ids[: longest - 1], EOS]


def _target_spans(translator: Translator, example: Example, ids: Sequence[int], *, words: bool) -> list[Span]:
    tokenizer, symbols = translator.target_tokenizer, list(ids[:-1] if ids and ids[-1] == EOS else ids)
    if example.target is not None and symbols == tokenizer.encode(example.target):
        return text_spans(tokenizer, example.target, words=words)
    return unit_spans(tokenizer, symbols, words=words)


def text_columns(translator: Translator, example: Example, width: int, units: Sequence[Span]) -> list[list[int]]:
    """Where, in `width` columns, the encoder reads the symbols of each unit of a source text: after its tags, backwards where sources are
    reversed."""
    tokenizer, tags = translator.source_tokenizer, len(example.features)
    length = len(encode_source(tokenizer, example.source, example.features)) - 1
    seen = min(width, len(translator.encode(example)) - 1)
    places = [length - 1 - place if translator.reverse_source else place for place in range(tags, length)]
    return [[place for place in places[start:end] if place < seen] for start, end in units]


def _things(translator: Translator, example: Example) -> tuple[Box, ...]:
    """The different boxes of an example, in the order in which its target names them."""
    if not any(example.boxes):
        raise RecipeError(
            f"{example.origin}: what is looked at in an image can be numbered only where its boxes are known (data.columns.boxes)"
        )
    named = boxes_of_symbols(translator, example)
    return tuple(dict.fromkeys(box for box in named if box is not None))


def boxes_of_symbols(translator: Translator, example: Example) -> tuple[Box | None, ...]:
    """The box of each symbol of an example's target, EOS last, in the image as the model sees it."""
    ids = [*translator.target_tokenizer.encode(example.target or ""), EOS]
    return symbol_boxes(translator.target_tokenizer, translator.placed(example), ids)


def _cells(grid: tuple[int, int], boxes: Sequence[Box]) -> list[list[int]]:
    """The cells of each box, by their centres, or, of a box without one, all that it touches; no cell is in two boxes."""
    taken: set[int] = set()
    found = []
    for box in boxes:
        centres = centres_inside(grid, box)
        cells = np.flatnonzero(centres if centres.any() else inside(grid, box) > 0).tolist()
        found.append([cell for cell in cells if cell not in taken])
        taken.update(cells)
    return found
