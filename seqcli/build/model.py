"""From the recipe's `model` section to a `Seq2Seq`.

Each kind is a case of a `match`, so that the type checker names the place where a new kind is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

import torch
from torch import Tensor, nn
from typing_extensions import assert_never

from seqcli.models.bridge import Bridge, CopyBridge, DenseBridge, ZeroBridge
from seqcli.models.copying import Copying, PointerGenerator
from seqcli.models.feedforward import DenseStack, FeedforwardDecoder, FeedforwardEncoder
from seqcli.models.monotonic import MonotonicDecoder
from seqcli.models.recurrent import (
    BahdanauDecoder,
    InputFeedingDecoder,
    LuongDecoder,
    PlainDecoder,
    RecurrentDecoder,
    RecurrentEncoder,
)
from seqcli.models.seq2seq import Decoder, Encoder, Seq2Seq
from seqcli.models.transformer import DecoderLayer, EncoderLayer, Residual, TransformerDecoder, TransformerEncoder
from seqcli.models.vision import ConvEncoder, FeaturesEncoder, ImageTextEncoder, PatchEncoder
from seqcli.nn.attention import AdditiveScore, Attention, ContentScore, DotScore, MultiplicativeScore, Score
from seqcli.nn.coverage import CoverageAttention
from seqcli.nn.initialization import initialize
from seqcli.nn.layers import ACTIVATIONS, FeedForward, Readout
from seqcli.nn.monotonic_attention import MonotonicAttention
from seqcli.nn.multihead import CrossAttention, SelfAttention
from seqcli.nn.output import NamedAlready, OutputLayer
from seqcli.nn.positions import (
    LearnedGrid,
    LearnedPositions,
    NoPositions,
    RelativePositions,
    SinusoidalGrid,
    SinusoidalPositions,
)
from seqcli.nn.recurrence import Recurrence
from seqcli.nn.stacked_attention import StackedAttention
from seqcli.recipe import model as recipe
from seqcli.symbols import NOT_THERE

AnyAttention = Union[
    recipe.DotAttention, recipe.MultiplicativeAttention, recipe.AdditiveAttention, recipe.ContentAttention
]
MAX_DISTANCE = 16
"""What relative positions tell apart where a recipe gives no max_distance, as the base model of Shaw et al. 2018 (§4.1)."""


def build_model(
    section: recipe.Model,
    source_size: int,
    target_size: int,
    *,
    image_shape: Sequence[int] | None = None,
    copies: Sequence[int] | None = None,
    fill: bool = True,
) -> Seq2Seq:
    """The model of a recipe for vocabularies of the given sizes, and for images of a shape: (C,h,w), or (rows,columns,D) of features.

    Its weights are drawn from torch's global generator as the recipe says, unless `fill` is False: weights that will be
    loaded need not be drawn first. Where it copies, `copies` has for each symbol of the source the same one of the target
    (`data.tokenizer.same_symbols`); without, nothing can be copied until a checkpoint brings them.
    """
    reader, target_width = recipe.text_encoder(section.encoder), embedding_size(section.decoder)
    source_embedding = nn.Embedding(source_size, 1 if reader is None else embedding_size(reader))
    target_embedding = (
        source_embedding if section.tie in ("source_target", "all") else nn.Embedding(target_size, target_width)
    )
    encoder = build_encoder(section, section.encoder, source_embedding, image_shape)
    decoder = build_decoder(section, target_embedding, target_size)
    same = torch.tensor([NOT_THERE] * source_size if copies is None else copies)
    model = _joined(section, encoder, decoder, target_size, same)
    if fill:
        initialization = section.initialization
        initialize(
            model,
            weights=initialization.weights,
            recurrent=initialization.recurrent,
            embeddings=initialization.embeddings,
            scale=initialization.scale,
            recurrent_radius=initialization.recurrent_radius,
            forget_bias=initialization.forget_bias,
        )
    if section.tie in ("target_output", "all"):
        # after filling: the shared table keeps the embedding's distribution
        projection = decoder.projection if isinstance(decoder, MonotonicDecoder) else model.output
        projection.weight = target_embedding.weight
    return model


def _joined(section: recipe.Model, encoder: Encoder, decoder: Decoder, target_size: int, copies: Tensor) -> Seq2Seq:
    """Encoder and decoder with the last layer that they need, and with what they can copy where they do."""
    if isinstance(decoder, MonotonicDecoder):
        named = NamedAlready(target_size)
        return Copying(encoder, decoder, named, copies) if section.copying else Seq2Seq(encoder, decoder, named)
    hidden_size = section.decoder.hidden_size
    output = OutputLayer(hidden_size, target_size)
    if section.copying:
        return PointerGenerator(encoder, decoder, output, nn.Linear(hidden_size, 1), copies)
    return Seq2Seq(encoder, decoder, output)


def embedding_size(section: recipe.TextEncoder | recipe.Decoder) -> int:
    """The width of a side's embeddings; a feed-forward decoder reads nothing, so any width will do."""
    match section:
        case recipe.FeedforwardEncoder() | recipe.RecurrentEncoder() | recipe.RecurrentDecoder():
            return section.embedding_size
        case recipe.TransformerEncoder() | recipe.TransformerDecoder() | recipe.FeedforwardDecoder():
            return section.hidden_size
        case _:
            assert_never(section)


def build_encoder(
    model: recipe.Model, section: recipe.Encoder, embedding: nn.Embedding, image_shape: Sequence[int] | None
) -> Encoder:
    """An encoder of a recipe: its own, or one that is part of it. `embedding` is for its symbols, if it reads any."""
    dropout = model.dropout
    match section:
        case recipe.FeedforwardEncoder():
            stack = _dense_stack(section, section.window * section.embedding_size, dropout)
            return FeedforwardEncoder(
                embedding, stack, section.window, section.hidden_size, dropout=_embedding_dropout(model)
            )
        case recipe.RecurrentEncoder():
            recurrence = Recurrence(
                section.kind,
                section.embedding_size,
                section.hidden_size,
                section.layers,
                dropout=dropout,
                bidirectional=section.bidirectional,
            )
            return RecurrentEncoder(embedding, recurrence, dropout=dropout, embedding_dropout=_embedding_dropout(model))
        case recipe.TransformerEncoder():
            return TransformerEncoder(
                embedding,
                _positions(section),
                _encoder_layers(section, model),
                _final_norm(section),
                dropout=_embedding_dropout(model),
            )
        case recipe.ImageTextEncoder():
            return ImageTextEncoder(
                build_encoder(model, section.image, embedding, image_shape),
                build_encoder(model, section.text, embedding, image_shape),
                attend_text=section.attend_text,
            )
        case recipe.ConvEncoder() | recipe.PatchEncoder() | recipe.FeaturesEncoder():
            assert image_shape is not None
            return _image_encoder(model, section, image_shape)
        case _:
            assert_never(section)


def _image_encoder(model: recipe.Model, section: recipe.ImageEncoder, shape: Sequence[int]) -> Encoder:
    positions, dropout = _grid_positions(section, shape), model.dropout
    match section:
        case recipe.ConvEncoder():
            return ConvEncoder(
                shape[0],
                section.channels,
                recipe.blocks_of(section),
                section.hidden_size,
                positions,
                dropout=dropout,
                normalize=section.normalize,
            )
        case recipe.PatchEncoder():
            return PatchEncoder(
                shape[0],
                section.stem,
                section.patch_size,
                section.hidden_size,
                _encoder_layers(section, model),
                _final_norm(section),
                positions,
                dropout=_embedding_dropout(model),
                normalize=section.normalize,
            )
        case recipe.FeaturesEncoder():
            return FeaturesEncoder(shape[2], section.hidden_size, positions, dropout=dropout)
        case _:
            assert_never(section)


def grid_shape(section: recipe.ImageEncoder, image_shape: Sequence[int]) -> tuple[int, int]:
    """The rows and columns of the grid that an encoder makes of images of a shape."""
    match section:
        case recipe.ConvEncoder():
            return recipe.halved(image_shape[1], section.channels), recipe.halved(image_shape[2], section.channels)
        case recipe.PatchEncoder():
            rows, columns = (recipe.halved(pixels, section.stem) for pixels in image_shape[1:])
            return rows // section.patch_size, columns // section.patch_size
        case recipe.FeaturesEncoder():
            return image_shape[0], image_shape[1]
        case _:
            assert_never(section)


def _grid_positions(section: recipe.ImageEncoder, image_shape: Sequence[int]) -> nn.Module:
    match section.positions:
        case "sinusoidal":
            return SinusoidalGrid()
        case "learned":
            return LearnedGrid(*grid_shape(section, image_shape), section.hidden_size)
        case "none":
            return nn.Identity()
        case _:
            assert_never(section.positions)


def build_decoder(model: recipe.Model, embedding: nn.Embedding, target_size: int) -> Decoder:
    """The decoder of a recipe, for the memory that its encoder gives, and for a vocabulary of `target_size`."""
    section, dropout = model.decoder, model.dropout
    match section:
        case recipe.FeedforwardDecoder():
            stack = _dense_stack(section, recipe.memory_width(model.encoder), dropout)
            return FeedforwardDecoder(stack, section.window, section.hidden_size)
        case recipe.RecurrentDecoder():
            return _recurrent_decoder(section, model, embedding, target_size)
        case recipe.TransformerDecoder():
            layers = [
                DecoderLayer(
                    _self_attention(section, model),
                    CrossAttention(
                        section.hidden_size,
                        recipe.memory_width(model.encoder),
                        section.heads,
                        dropout=model.attention_dropout,
                    ),
                    _feed_forward(section, model),
                    _residuals(section, dropout, 3),
                )
                for _ in range(section.layers)
            ]
            questioned = isinstance(model.encoder, recipe.ImageTextEncoder)
            return TransformerDecoder(
                embedding,
                _positions(section),
                layers,
                _final_norm(section),
                dropout=_embedding_dropout(model),
                bridge=nn.Linear(recipe.memory_width(model.encoder), section.hidden_size) if questioned else None,
            )
        case _:
            assert_never(section)


def _recurrent_decoder(
    section: recipe.RecurrentDecoder, model: recipe.Model, embedding: nn.Embedding, target_size: int
) -> RecurrentDecoder:
    memory, embedded, hidden = recipe.memory_width(model.encoder), section.embedding_size, section.hidden_size
    bridge = _bridge(section, memory)
    dropouts = {"dropout": model.dropout, "embedding_dropout": _embedding_dropout(model)}

    def recurrence(input_size: int) -> Recurrence:
        return Recurrence(section.kind, input_size, hidden, section.layers, dropout=model.dropout)

    def readout(input_size: int) -> Readout:
        return Readout(input_size, hidden, model.dropout)

    if isinstance(section.attention, recipe.NoAttention):
        if not section.attention.feed_summary:
            return PlainDecoder(embedding, recurrence(embedded), bridge, None, **dropouts)
        return PlainDecoder(
            embedding, recurrence(embedded + memory), bridge, readout(hidden + memory + embedded), **dropouts
        )
    if isinstance(section.attention, recipe.HardMonotonicAttention):
        fed = section.attention.feed_summary
        return MonotonicDecoder(
            embedding,
            recurrence(embedded + memory if fed else embedded),
            bridge,
            MonotonicAttention(MultiplicativeScore(hidden, memory), section.attention.reach),
            nn.Linear(hidden, hidden, bias=False),
            nn.Linear(memory, hidden, bias=False),
            nn.Linear(hidden, target_size),
            nn.Linear(hidden, 1) if model.copying else None,
            feed_summary=fed,
            **dropouts,
        )
    attention = _attention(section.attention, hidden, memory)
    if section.order == "bahdanau":
        return BahdanauDecoder(
            embedding, recurrence(embedded + memory), bridge, attention, readout(hidden + memory + embedded), **dropouts
        )
    if section.input_feeding:
        return InputFeedingDecoder(
            embedding, recurrence(embedded + hidden), bridge, attention, readout(hidden + memory), **dropouts
        )
    return LuongDecoder(embedding, recurrence(embedded), bridge, attention, readout(hidden + memory), **dropouts)


def _attention(section: AnyAttention, query_size: int, memory: int) -> Attention | StackedAttention | CoverageAttention:
    def gate() -> nn.Linear | None:
        return nn.Linear(query_size, 1) if section.gate else None

    if isinstance(section, recipe.AdditiveAttention) and section.coverage:
        return CoverageAttention(_additive(section, query_size, memory), gate())
    hops = [Attention(_score(section, query_size, memory), gate()) for _ in range(section.hops)]
    return hops[0] if len(hops) == 1 else StackedAttention(hops, query_size, memory)


def _score(section: AnyAttention, query_size: int, memory: int) -> Score:
    match section:
        case recipe.DotAttention(kind="dot"):
            return DotScore()
        case recipe.DotAttention():
            return DotScore(scale=query_size**-0.5)
        case recipe.MultiplicativeAttention():
            return MultiplicativeScore(query_size, memory)
        case recipe.AdditiveAttention():
            return _additive(section, query_size, memory)
        case recipe.ContentAttention():
            return ContentScore(query_size, memory)
        case _:
            assert_never(section)


def _additive(section: recipe.AdditiveAttention, query_size: int, memory: int) -> AdditiveScore:
    return AdditiveScore(query_size, memory, section.hidden_size or query_size)


def _bridge(section: recipe.RecurrentDecoder, memory: int) -> Bridge:
    match section.bridge:
        case "dense":
            return DenseBridge(section.kind, memory, section.layers, section.hidden_size)
        case "copy":
            return CopyBridge()
        case "zeros":
            return ZeroBridge(section.kind, section.layers, section.hidden_size)
        case _:
            assert_never(section.bridge)


def _positions(section: recipe.TransformerSection) -> nn.Module:
    match section.positions:
        case "sinusoidal":
            return SinusoidalPositions()
        case "learned":
            return LearnedPositions(section.max_positions, section.hidden_size)
        case "rotary" | "relative":
            return NoPositions()
        case _:
            assert_never(section.positions)


def _encoder_layers(section: recipe.TransformerStack, model: recipe.Model) -> list[EncoderLayer]:
    return [
        EncoderLayer(
            _self_attention(section, model),
            _feed_forward(section, model),
            _residuals(section, model.dropout, 2),
        )
        for _ in range(section.layers)
    ]


def _self_attention(section: recipe.TransformerStack, model: recipe.Model) -> SelfAttention:
    rotary = isinstance(section, recipe.TransformerSection) and section.positions == "rotary"
    return SelfAttention(
        section.hidden_size,
        section.heads,
        rotary=rotary,
        relative=_relative_positions(section),
        dropout=model.attention_dropout,
    )


def _relative_positions(section: recipe.TransformerStack) -> RelativePositions | None:
    if not isinstance(section, recipe.TransformerSection) or section.positions != "relative":
        return None
    causal = isinstance(section, recipe.TransformerDecoder)
    return RelativePositions(section.max_distance or MAX_DISTANCE, section.hidden_size // section.heads, causal=causal)


def _feed_forward(section: recipe.TransformerStack, model: recipe.Model) -> FeedForward:
    return FeedForward(section.hidden_size, section.feedforward_size, section.activation, model.activation_dropout)


def _residuals(section: recipe.TransformerStack, dropout: float, count: int) -> list[Residual]:
    return [Residual(section.hidden_size, dropout, pre_norm=section.norm == "pre") for _ in range(count)]


def _final_norm(section: recipe.TransformerStack) -> nn.Module:
    return nn.LayerNorm(section.hidden_size) if section.norm == "pre" else nn.Identity()


def _dense_stack(section: recipe.FeedforwardSection, input_size: int, dropout: float) -> DenseStack:
    return DenseStack(input_size, section.hidden_size, section.layers, ACTIVATIONS[section.activation], dropout)


def _embedding_dropout(model: recipe.Model) -> float:
    return model.dropout if model.embedding_dropout is None else model.embedding_dropout
