"""The recipe's `model` section: encoder, decoder, attention, and what the weights start from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Union

from pydantic import Field

from seqcli.recipe.section import Count, Probability, Section


class NoAttention(Section):
    """No attention: all that the decoder knows of the source is one vector."""

    kind: Literal["none"]
    feed_summary: bool = False
    """Give that vector to every step (Cho et al. 2014), not only to the first state (Sutskever et al. 2014)."""


class AttentionSection(Section):
    """What every attention has."""

    gate: bool = False
    """Multiply what is found by a number from 0 to 1 that the query decides, so that a step may do without (Xu et al. 2015, §4.2.1)."""
    hops: Count = 1
    """How often a step looks before it goes on; each look's query knows what the one before has found (Yang et al. 2016, §3.3)."""


class DotAttention(AttentionSection):
    """score(q, k) = q·k, or q·k/√D when scaled (Luong et al. 2015, §3.1; Vaswani et al. 2017, §3.2.1)."""

    kind: Literal["dot", "scaled_dot"]


class MultiplicativeAttention(AttentionSection):
    """score(q, k) = q·Wk, Luong's "general" (Luong et al. 2015, §3.1)."""

    kind: Literal["multiplicative"]


class AdditiveAttention(AttentionSection):
    """score(q, k) = v·tanh(Wq + Uk) (Bahdanau et al. 2015, §A.1.2)."""

    kind: Literal["additive"]
    hidden_size: Count | None = None
    """Width of v; null means the decoder's hidden_size."""
    coverage: bool = False
    """Let each look know how much the looks before it have given to each position: score = v·tanh(Wq + Uk + w·c), c the sum of their weights
    (See et al. 2017, §2.3; Tu et al. 2016, §3.1). Goes with training.coverage_loss; search.coverage_penalty is something else."""


class ContentAttention(AttentionSection):
    """score(q, k) = β·cos(Wq, k), sharpened by a strength β that each query chooses (Graves et al. 2014, §3.3.1)."""

    kind: Literal["content"]


class HardMonotonicAttention(Section):
    """One place at a time, and never back: the probabilities of all ways through the source are summed up (Wu & Cotterell 2019). For words to
    sounds, inflection, spelling; tags go before the source."""

    kind: Literal["hard_monotonic"]
    reach: Count = 5
    """Up to how many places a step goes on is learnt for each number of places; going on by more is as likely as by these."""
    feed_summary: bool = False
    """Give the encoder's end to every step, as tags that stand before the source can no longer be looked at once they are passed."""


Attention = Annotated[
    Union[
        NoAttention,
        DotAttention,
        MultiplicativeAttention,
        AdditiveAttention,
        ContentAttention,
        HardMonotonicAttention,
    ],
    Field(discriminator="kind"),
]


class FeedforwardSection(Section):
    """A network without memory: a fixed window of positions, and dense layers over all of it at once."""

    kind: Literal["feedforward"]
    hidden_size: Count = 256
    """Width of every hidden layer."""
    layers: Count = 1
    """Hidden layers."""
    window: Count = 50
    """How many positions it has; symbols beyond are not seen, or cannot be written."""
    activation: Literal["tanh", "relu", "gelu", "sigmoid"] = "tanh"
    """The nonlinearity of the hidden layers."""


class FeedforwardEncoder(FeedforwardSection):
    """The vanilla baseline: the embeddings of a fixed window of symbols, side by side, into dense layers."""

    embedding_size: Count = 64
    """Width of a symbol's embedding."""


class FeedforwardDecoder(FeedforwardSection):
    """The vanilla baseline: all target positions at once from the encoder's summary, none knowing the others."""


class RecurrentEncoder(Section):
    """A recurrent encoder: tanh RNN (Elman 1990), LSTM (Hochreiter & Schmidhuber 1997) or GRU (Cho et al. 2014)."""

    kind: Literal["rnn", "lstm", "gru"]
    hidden_size: Count = 256
    """Width of the state, in each direction."""
    layers: Count = 1
    """Layers, one above the other."""
    bidirectional: bool = False
    """Read from both ends; the memory is then twice as wide."""
    embedding_size: Count = 256
    """Width of a symbol's embedding."""


class RecurrentDecoder(Section):
    """A recurrent decoder: tanh RNN, LSTM or GRU, with or without attention."""

    kind: Literal["rnn", "lstm", "gru"]
    hidden_size: Count = 256
    """Width of the state."""
    layers: Count = 1
    """Layers, one above the other."""
    embedding_size: Count = 256
    """Width of a symbol's embedding."""
    attention: Attention = AdditiveAttention(kind="additive")
    """How a step looks back at the source."""
    order: Literal["luong", "bahdanau"] = "luong"
    """Attend with the new state (Luong et al. 2015), or with the last one, before the recurrent step (Bahdanau et al. 2015)."""
    input_feeding: bool = False
    """Luong order only: give each step what the last one attended to (Luong et al. 2015, §3.3)."""
    bridge: Literal["dense", "copy", "zeros"] = "dense"
    """How the first state is made: a dense layer over the encoder's summary, its own states layer by layer, or zeros."""


class TransformerStack(Section):
    """Layers of a Transformer (Vaswani et al. 2017)."""

    hidden_size: Count = 256
    """Width of the embeddings and of every layer."""
    layers: Count = 3
    """Layers."""
    heads: Count = 4
    """Attention heads in each layer; they share hidden_size."""
    feedforward_size: Count = 1024
    """Width inside the feed-forward sublayers."""
    norm: Literal["pre", "post"] = "pre"
    """Layer normalisation before each sublayer (steadier), or after it (as published)."""
    activation: Literal["relu", "gelu"] = "relu"
    """The nonlinearity of the feed-forward sublayers."""


class TransformerSection(TransformerStack):
    """A Transformer over symbols."""

    kind: Literal["transformer"]
    positions: Literal["sinusoidal", "learned", "rotary", "relative"] = "sinusoidal"
    """How a symbol knows its place: fixed waves, a learned table, rotated queries and keys (Su et al. 2021), or learned vectors for the
    distances between symbols (Shaw et al. 2018)."""
    max_positions: Count = 512
    """Rows of the learned table; longer inputs are refused (the other kinds have no limit)."""
    max_distance: Count | None = None
    """Relative positions only: how far apart symbols are told from those that are farther apart; null means 16, as published."""


class TransformerEncoder(TransformerSection):
    """The Transformer's encoder."""


class TransformerDecoder(TransformerSection):
    """The Transformer's decoder."""


GridPositions = Literal["sinusoidal", "learned", "none"]


StageNorm = Literal["layer", "batch"]


class ConvEncoder(Section):
    """A residual network (He et al. 2016) over an image's pixels; each cell of its last feature map is a state of the memory."""

    kind: Literal["conv"]
    hidden_size: Count = 256
    """Width of the states."""
    channels: Annotated[list[Count], Field(min_length=1)] = [32, 64, 128]
    """Channels of each stage; each halves width and height, so three of them make a cell of 8 × 8 pixels."""
    blocks: Count | list[Count] = 1
    """Residual blocks in a stage, of two convolutions each; or a list of how many in each."""
    normalize: StageNorm = "layer"
    """Over what a stage normalises: the channels of each place; or, channel by channel, the batch (Ioffe & Szegedy 2015), which finds
    small things on an empty ground sooner."""
    positions: GridPositions = "sinusoidal"
    """How a cell knows its place: fixed waves over rows and columns, a learned table, or not at all."""


class PatchEncoder(TransformerStack):
    """A Transformer over patches of an image's pixels, or of the feature map of a residual network (Dosovitskiy et al. 2021)."""

    kind: Literal["patch"]
    stem: list[Count] = []
    """Channels of residual stages below, as in conv; each halves width and height, and patches are then of cells of their map."""
    normalize: StageNorm = "layer"
    """Over what the stem normalises, as in conv."""
    patch_size: Count = 8
    """Pixels, or cells of the stem's map, of a patch's side."""
    positions: GridPositions = "sinusoidal"
    """How a patch knows its place: fixed waves over rows and columns, a learned table, or not at all."""


class FeaturesEncoder(Section):
    """A dense layer over a grid of features that any network has computed beforehand."""

    kind: Literal["features"]
    hidden_size: Count = 256
    """Width of the states."""
    positions: GridPositions = "none"
    """How a cell knows its place: fixed waves over rows and columns, a learned table, or only as its features tell it."""


TextEncoder = Union[FeedforwardEncoder, RecurrentEncoder, TransformerEncoder]
ImageEncoder = Union[ConvEncoder, PatchEncoder, FeaturesEncoder]


class ImageTextEncoder(Section):
    """An image and a text (a question on it), each read by its own encoder, one after the other in the same memory."""

    kind: Literal["image_text"]
    image: Annotated[ImageEncoder, Field(discriminator="kind")]
    """What reads the image."""
    text: Annotated[TextEncoder, Field(discriminator="kind")]
    """What reads the text; its summary is what the decoder starts from."""
    attend_text: bool = True
    """Whether the decoder attends to the text as it does to the image, or to the image alone (Yang et al. 2016)."""


Encoder = Annotated[Union[TextEncoder, ImageEncoder, ImageTextEncoder], Field(discriminator="kind")]
Decoder = Annotated[Union[FeedforwardDecoder, RecurrentDecoder, TransformerDecoder], Field(discriminator="kind")]


def blocks_of(section: ConvEncoder) -> list[int]:
    """How many residual blocks each stage has."""
    return section.blocks if isinstance(section.blocks, list) else [section.blocks] * len(section.channels)


def halved(pixels: int, stages: list[int]) -> int:
    """How many cells a side of so many pixels has after residual stages, each of which halves it and rounds up."""
    cell: int = 2 ** len(stages)
    return -(-pixels // cell)


def text_encoder(encoder: Encoder) -> TextEncoder | None:
    """What reads the source's text, if anything does."""
    if isinstance(encoder, ImageTextEncoder):
        return encoder.text
    return None if isinstance(encoder, (ConvEncoder, PatchEncoder, FeaturesEncoder)) else encoder


def image_encoder(encoder: Encoder) -> ImageEncoder | None:
    """What reads the source's image, if anything does."""
    if isinstance(encoder, ImageTextEncoder):
        return encoder.image
    return encoder if isinstance(encoder, (ConvEncoder, PatchEncoder, FeaturesEncoder)) else None


def attends(decoder: Decoder) -> bool:
    """Whether the decoder has attention over the memory."""
    if isinstance(decoder, RecurrentDecoder):
        return not isinstance(decoder.attention, NoAttention)
    return isinstance(decoder, TransformerDecoder)


def memory_width(encoder: Encoder) -> int:
    """How wide the encoder's states are: its hidden_size, twice that if it reads from both ends."""
    if isinstance(encoder, ImageTextEncoder):
        return memory_width(encoder.text)
    both_ends = isinstance(encoder, RecurrentEncoder) and encoder.bidirectional
    return 2 * encoder.hidden_size if both_ends else encoder.hidden_size


Initializer = Literal[
    "xavier_uniform", "xavier_normal", "he_uniform", "he_normal", "orthogonal", "normal", "uniform", "constant", "zeros"
]


class Initialization(Section):
    """What the weights are before the first step."""

    weights: Initializer = "xavier_uniform"
    """Every weight matrix that no other key names (Glorot & Bengio 2010; He et al. 2015)."""
    recurrent: Initializer = "orthogonal"
    """The matrices from state to state (Saxe et al. 2014)."""
    embeddings: Initializer = "normal"
    """The embeddings; normal without a scale has standard deviation 1/√width."""
    scale: Annotated[float, Field(gt=0.0)] | None = None
    """Standard deviation of normal, bound of uniform, value of constant, gain of the others; null means 1/√width, 0.1, 1/width and 1."""
    recurrent_radius: Annotated[float, Field(gt=0.0)] | None = None
    """Scale each matrix from state to state, gate by gate, to this spectral radius; below 1 a tanh RNN's gradients vanish, far above they
    may explode (Pascanu et al. 2013, §2.1). null means as drawn."""
    forget_bias: float = 1.0
    """What the LSTM's forget gates start from (Gers et al. 2000; Jozefowicz et al. 2015)."""


class Model(Section):
    """Encoder, decoder, and what holds for both."""

    encoder: Encoder
    """What reads the source."""
    decoder: Decoder
    """What writes the target."""
    dropout: Probability = 0.1
    """Share of activations dropped between layers, after sublayers and before the output."""
    embedding_dropout: Probability | None = None
    """The same on embeddings; null means as dropout."""
    attention_dropout: Probability = 0.0
    """The same on the Transformer's attention weights."""
    activation_dropout: Probability = 0.0
    """The same inside feed-forward sublayers."""
    copying: bool = False
    """Mix what the decoder would write with the symbols of the source that it attends to, in shares that each step chooses: a
    pointer-generator (See et al. 2017, §2.2). For texts, where the target repeats symbols of its source."""
    tie: Literal["none", "target_output", "source_target", "all"] = "none"
    """Which tables are one: the target's embeddings and the output layer (Press & Wolf 2017), the two sides' embeddings, or all three."""
    initialization: Initialization = Initialization()
    """What the weights start from."""


def encoders(model: Model) -> Iterator[tuple[tuple[str, ...], TextEncoder | ImageEncoder]]:
    """The encoders that are one thing, each with its path in a recipe."""
    encoder, path = model.encoder, ("model", "encoder")
    if isinstance(encoder, ImageTextEncoder):
        yield (*path, "image"), encoder.image
        yield (*path, "text"), encoder.text
    else:
        yield path, encoder
