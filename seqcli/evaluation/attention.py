"""What a model looked at while it wrote: attention weights of finished hypotheses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from seqcli.data.encoded import make_batch
from seqcli.errors import SeqcliError
from seqcli.evaluation.translator import SearchSettings, Translator
from seqcli.models.seq2seq import over_memory
from seqcli.nn.trace import trace_attention
from seqcli.symbols import EOS, Example

Span = tuple[int, int]


@dataclass(frozen=True)
class AttentionMaps:
    """Attention over one pair: S source and T target symbols, EOS counted on both sides.

    `cross (L,H,T,S)` is the decoder's attention over the source, a row of weights for each symbol that it wrote;
    `encoder (L,H,S,S)` and `decoder (L,H,T,T)` are self-attention, None where the model has none. Decoder rows are steps: the
    columns of `decoder` are what each step had read, BOS first. `source_words` and `target_words` are the spans of symbols that make
    up a word, the space after it included; together they cover all symbols.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    cross: NDArray[np.float32]
    encoder: NDArray[np.float32] | None
    decoder: NDArray[np.float32] | None
    source_words: tuple[Span, ...]
    target_words: tuple[Span, ...]

    @property
    def mean(self) -> NDArray[np.float32]:
        """The last layer's cross-attention, averaged over its heads: (T,S)."""
        average: NDArray[np.float32] = self.cross[-1].mean(axis=0)
        return average


def attention_maps(
    translator: Translator, examples: Sequence[Example], settings: SearchSettings
) -> list[AttentionMaps]:
    """The attention behind each example's target, or, where it has none, behind the best hypothesis that a search finds.

    The target is passed through the model once more, all at once, with the weights computed explicitly; that is the same
    computation as in the search. Raises `SeqcliError` for a model without attention, or where there is nothing to look at.
    """
    return [_maps_of(translator, example, settings) for example in examples]


def _maps_of(translator: Translator, example: Example, settings: SearchSettings) -> AttentionMaps:
    source = translator.encode(example)
    target = _target_ids(translator, example, settings)
    if len(source) < 2 or not target:
        raise SeqcliError(f"there is nothing to look at: the source {example.source!r} or its translation is empty")
    batch = make_batch([source], [target], [0]).to(next(translator.model.parameters()).device)
    translator.model.eval()
    with torch.inference_mode(), trace_attention(translator.model) as maps:
        translator.model(batch)
    cross = _stack(over_memory(maps))
    if cross is None:
        raise SeqcliError("this model has no attention: its decoder's attention is none, or it is feed-forward")
    encoder = _stack([weights for name, weights in maps.items() if name.startswith("encoder.")])
    decoder = _stack(
        [
            weights
            for name, weights in maps.items()
            if name.endswith(".attention") and ".layers." in name and name.startswith("decoder.")
        ]
    )
    order = _reading_order(len(source), cross.shape[-1], translator.reverse_source)
    shown = [source[place] for place in order]
    return AttentionMaps(
        tuple(translator.source_tokenizer.tokens(shown)),
        tuple(translator.target_tokenizer.tokens(target)),
        cross[..., order],
        None if encoder is None else encoder[..., order, :][..., order],
        decoder,
        covering(translator.source_tokenizer.words(shown), len(shown)),
        covering(translator.target_tokenizer.words(target), len(target)),
    )


def _target_ids(translator: Translator, example: Example, settings: SearchSettings) -> list[int]:
    if example.target is not None:
        return [*translator.target_tokenizer.encode(example.target), EOS]
    found = translator.translate([example], settings)[0]
    return list(found[0].ids) if found else []


def covering(spans: Sequence[Span], length: int) -> tuple[Span, ...]:
    """The same words, each reaching up to the next, so that no symbol (a space between characters) is left out."""
    starts = [0, *(start for start, _ in spans[1:])] if spans else []
    return tuple(zip(starts, [*starts[1:], length], strict=True))


def _reading_order(length: int, seen: int, reverse: bool) -> list[int]:
    """The places of the encoder's input in the order in which people read them; a window may have cut the end."""
    places = [*reversed(range(length - 1)), length - 1] if reverse else list(range(length))
    return [place for place in places if place < seen]


def _stack(layers: list[torch.Tensor]) -> NDArray[np.float32] | None:
    """(1,H,T,S) a layer → (L,H,T,S); None if there are no layers."""
    return torch.cat(layers).float().cpu().numpy() if layers else None
