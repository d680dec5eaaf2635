"""What a model looked at while it wrote: attention weights of finished hypotheses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seqcli.data.images import PixelReader
from seqcli.data.tokenizer import Tokenizer
from seqcli.errors import DataError, SeqcliError
from seqcli.evaluation.reader import SearchSettings
from seqcli.evaluation.translator import Translator
from seqcli.models.seq2seq import OVER_MEMORY, over_memory
from seqcli.nn.trace import trace_attention
from seqcli.symbols import EOS, Box, Example
from seqcli.types import Batch

Span = tuple[int, int]


@dataclass(frozen=True)
class AttentionMaps:
    """Attention over one pair: S source and T target symbols, EOS counted on both sides.

    `cross (L,H,T,S)` is the decoder's attention over the source, a row of weights for each symbol that it wrote;
    `encoder (L,H,S,S)` and `decoder (L,H,T,T)` are self-attention, None where the model has none. Decoder rows are steps: the
    columns of `decoder` are what each step had read, BOS first. `source_words` and `target_words` are the spans of symbols that make
    up a word, the space after it included; together they cover all symbols.

    Where the source is an image, `image` is what the model saw of it, pixels `uint8 (h,w,3)` or `(h,w)`, None where it saw features;
    `cells (L,H,T,rows,columns)` is the attention over it, which together with that over the text sums to 1; S is 0 where there is no text;
    and `encoder` is that of the text, or, where there is none, of the cells (L,H,G,G). `boxes` are where the things are that the target names,
    one for each symbol, if the example tells.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    cross: NDArray[np.float32]
    encoder: NDArray[np.float32] | None
    decoder: NDArray[np.float32] | None
    source_words: tuple[Span, ...]
    target_words: tuple[Span, ...]
    image: NDArray[np.uint8] | None = None
    cells: NDArray[np.float32] | None = None
    boxes: tuple[Box | None, ...] | None = None

    @property
    def mean(self) -> NDArray[np.float32]:
        """The last layer's cross-attention, averaged over its heads: (T,S)."""
        average: NDArray[np.float32] = self.cross[-1].mean(axis=0)
        return average

    @property
    def mean_cells(self) -> NDArray[np.float32]:
        """The last layer's attention over the image, averaged over its heads: (T,rows,columns). ValueError where there is no image."""
        if self.cells is None:
            raise ValueError("there is no image that is looked at")
        average: NDArray[np.float32] = self.cells[-1].mean(axis=0)
        return average

    @property
    def context(self) -> dict[str, Any]:
        """What a picture of the attention over an image shows of that over the text beside it: `context_weights` (T,S) and `context_words`;
        nothing where there is no text."""
        return {"context_weights": self.mean, "context_words": self.source} if self.source else {}


def attention_maps(
    translator: Translator, examples: Sequence[Example], settings: SearchSettings
) -> list[AttentionMaps]:
    """The attention behind each example's target, or, where it has none, behind the best hypothesis that a search finds.

    The target is passed through the model once more, all at once, with the weights computed explicitly; that is the same
    computation as in the search. Raises `SeqcliError` for a model without attention, or where there is nothing to look at.
    """
    return [_maps_of(translator, example, settings) for example in examples]


@dataclass(frozen=True)
class TracedPass:
    """The attention of one pass over a batch: `maps` by the module's name; and of the decoder over the memory `cross`, a layer each,
    (B,H,T,S), whose first columns are the cells of a `grid` (rows, columns) where the source is an image."""

    maps: dict[str, torch.Tensor]
    cross: list[torch.Tensor]
    grid: tuple[int, int] | None


def traced_pass(translator: Translator, batch: Batch) -> TracedPass:
    """Write the batch's targets with the weights computed explicitly. Raises `SeqcliError` for a model without attention."""
    model = translator.model
    model.eval()
    with torch.inference_mode(), trace_attention(model) as maps:
        memory = model.encoder(batch)
        model.decoder(batch.inputs, model.begin(batch, memory))
    cross = over_memory(maps)
    if not cross:
        raise SeqcliError("this model has no attention: its decoder's attention is none, or it is feed-forward")
    return TracedPass(maps, cross, memory.grid)


def _maps_of(translator: Translator, example: Example, settings: SearchSettings) -> AttentionMaps:
    source = translator.encode(example)
    target = _target_ids(translator, example, settings)
    if (len(source) < 2 and example.image is None) or not target:
        raise SeqcliError(
            f"there is nothing to look at: the source {example.source or example.origin!r} or its translation is empty"
        )
    batch = translator.batch([example], [target], sources=[source])
    traced = traced_pass(translator, batch)
    cells, cross = _apart(_stack(traced.cross), traced.grid)
    # a text without words beside an image is EOS alone, and is shown only where the model reads it
    order = reading_order(len(source), cross.shape[-1], translator.reverse_source)
    shown = [source[place] for place in order]
    names = attention_names(traced.maps)
    encoder, decoder = ([traced.maps[name] for name in names[kind]] for kind in ("encoder", "decoder"))
    encoder_maps = _stack(encoder) if encoder else None
    return AttentionMaps(
        tuple(translator.source_tokenizer.tokens(shown)),
        tuple(translator.target_tokenizer.tokens(target)),
        cross[..., order],
        encoder_maps[..., order, :][..., order] if encoder_maps is not None and order else encoder_maps,
        _stack(decoder) if decoder else None,
        covering(translator.source_tokenizer.words(shown), len(shown)),
        covering(translator.target_tokenizer.words(target), len(target)),
        _picture(batch) if isinstance(translator.image_reader, PixelReader) else None,
        cells,
        _boxes(translator, example, target) if any(example.boxes) else None,
    )


def symbol_boxes(tokenizer: Tokenizer, example: Example, ids: Sequence[int]) -> tuple[Box | None, ...]:
    """The box of each of a target's `ids`, EOS last: the example's own, where it has one for each symbol, or for each word.

    DataError where there are more boxes, or fewer.
    """
    symbols = [(place, place + 1) for place in range(len(ids) - 1)]
    spans = symbols if len(symbols) == len(example.boxes) else tokenizer.words(ids[:-1])
    if len(spans) != len(example.boxes):
        raise DataError(
            f"{example.origin}: {len(example.boxes)} boxes for {len(symbols)} symbols of the target; there must be one, or null, for each"
        )
    boxes: list[Box | None] = [None] * len(ids)
    for (start, end), box in zip(spans, example.boxes, strict=True):
        boxes[start:end] = [box] * (end - start)
    return tuple(boxes)


def _boxes(translator: Translator, example: Example, target: Sequence[int]) -> tuple[Box | None, ...]:
    """The box of each symbol of `target`, which may be cut where the model can write no more."""
    tokenizer, placed = translator.target_tokenizer, translator.placed(example)
    if example.target is None:
        return symbol_boxes(tokenizer, placed, target)
    whole = [*tokenizer.encode(example.target), EOS]
    return (*symbol_boxes(tokenizer, placed, whole)[: len(target) - 1], None)  # where it is cut it ends, too


def _apart(
    cross: NDArray[np.float32], grid: tuple[int, int] | None
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32]]:
    """Attention (L,H,T,G+S) over the cells of an image, (L,H,T,rows,columns), and over a text, (L,H,T,S)."""
    if grid is None:
        return None, cross
    cells = grid[0] * grid[1]
    return cross[..., :cells].reshape(*cross.shape[:-1], *grid), cross[..., cells:]


def attention_names(names: Iterable[str]) -> dict[str, list[str]]:
    """The names of a model's attentions, layer by layer, as `encoder`, `decoder` and `cross`.

    The encoder's are those of what reads the text, or of what reads the image where there is no text.
    """
    every = list(names)
    reading = [name for name in every if name.startswith("encoder.")]
    text = [name for name in reading if name.startswith("encoder.text.")]
    parted = any(name.startswith(("encoder.text.", "encoder.image.")) for name in reading)
    writing = [name for name in every if name.startswith("decoder.layers.") and name.endswith(".attention")]
    return {
        "encoder": text if parted else reading,
        "decoder": writing,
        "cross": [name for name in every if OVER_MEMORY.fullmatch(name)],
    }


def picture_of(translator: Translator, example: Example) -> NDArray[np.uint8] | None:
    """What the model sees of an example's image, pixels `uint8 (h,w,3)` or `(h,w)`; None where it sees none, or features."""
    if not isinstance(translator.image_reader, PixelReader) or example.image is None:
        return None
    return _picture(translator.batch([example]))


def _picture(batch: Batch) -> NDArray[np.uint8]:
    """The pixels of a batch's first image, `uint8 (h,w,3)` or `(h,w)`."""
    assert batch.image is not None
    pixels = ((batch.image[0] + 1.0) * 127.5).round().to(torch.uint8).cpu().numpy()
    picture: NDArray[np.uint8] = pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0))
    return picture


def _target_ids(translator: Translator, example: Example, settings: SearchSettings) -> list[int]:
    if example.target is not None:
        return translator.encode_target(example.target)
    found = translator.translate([example], settings)[0]
    return list(found[0].ids) if found else []


def covering(spans: Sequence[Span], length: int) -> tuple[Span, ...]:
    """The same words, each reaching up to the next, so that no symbol (a space between characters) is left out."""
    if not spans:
        return ()
    starts = [0, *(start for start, _ in spans[1:])]
    return tuple(zip(starts, [*starts[1:], length], strict=True))


def reading_order(length: int, seen: int, reverse: bool) -> list[int]:
    """The places of the encoder's input in the order in which people read them; a window may have cut the end."""
    places = [*reversed(range(length - 1)), length - 1] if reverse else list(range(length))
    return [place for place in places if place < seen]


def _stack(layers: Sequence[torch.Tensor]) -> NDArray[np.float32]:
    """(1,H,T,S) a layer → (L,H,T,S)."""
    stacked: NDArray[np.float32] = torch.cat(list(layers)).float().cpu().numpy()
    return stacked
