"""Rules that tie several keys of a recipe together. They refuse, and say how to mend it; they never rewrite."""

from __future__ import annotations

from collections.abc import Callable

from seqcli.recipe.data import has_split
from seqcli.recipe.data_rules import DATA_RULES, where_of_tables
from seqcli.recipe.image_rules import IMAGE_RULES
from seqcli.recipe.model import (
    AdditiveAttention,
    DotAttention,
    FeedforwardDecoder,
    HardMonotonicAttention,
    NoAttention,
    RecurrentDecoder,
    RecurrentEncoder,
    TransformerDecoder,
    TransformerEncoder,
    TransformerSection,
    TransformerStack,
    attends,
    encoders,
    image_encoder,
    memory_width,
    text_encoder,
)
from seqcli.recipe.schema import Recipe
from seqcli.recipe.search_rules import SEARCH_RULES
from seqcli.recipe.training import SgdSection
from seqcli.recipe.tree import Broken, shown


def broken_rules(recipe: Recipe, *, of_run: bool = False) -> Broken:
    """The path and a sentence for every rule that the recipe breaks; those that came when runs had broken them already do not count for a
    recipe `of_run`, one that is kept in a run's folder."""
    for rule in RULES:
        if not (of_run and rule in NOT_OF_RUNS):
            yield from rule(recipe)


def _steps_or_epochs(recipe: Recipe) -> Broken:
    training = recipe.training
    if training.steps is not None and training.epochs is not None:
        yield ("training", "epochs"), "steps is given too; give one of them, and null for the other"
    if training.steps is None and training.epochs is None:
        yield ("training", "steps"), "is missing; give steps, or epochs"


def _dot_widths(recipe: Recipe) -> Broken:
    decoder, width = recipe.model.decoder, memory_width(recipe.model.encoder)
    if not isinstance(decoder, RecurrentDecoder) or not isinstance(decoder.attention, DotAttention):
        return
    if decoder.hidden_size != width:
        yield (
            ("model", "decoder", "attention", "kind"),
            f"{decoder.attention.kind} compares vectors of one width, but the decoder has {decoder.hidden_size} and the "
            f"memory {width}; set model.decoder.hidden_size to {width}, or choose multiplicative",
        )


def _attention_order(recipe: Recipe) -> Broken:
    decoder = recipe.model.decoder
    if not isinstance(decoder, RecurrentDecoder):
        return
    path = ("model", "decoder")
    if isinstance(decoder.attention, NoAttention):
        if decoder.order == "bahdanau":
            yield (
                (*path, "order"),
                "without attention there is nothing to order; leave order out, or choose an attention",
            )
        if decoder.input_feeding:
            yield (
                (*path, "input_feeding"),
                "without attention there is nothing to feed; leave it out, or choose an attention",
            )
    elif decoder.input_feeding and decoder.order != "luong":
        yield (
            (*path, "input_feeding"),
            "only the order luong feeds its input; bahdanau reads the context in the same step",
        )


def _hard_monotonic(recipe: Recipe) -> Broken:
    decoder, path = recipe.model.decoder, ("model", "decoder")
    if not isinstance(decoder, RecurrentDecoder) or not isinstance(decoder.attention, HardMonotonicAttention):
        return
    if recipe.source.image is not None:
        yield (
            (*path, "attention", "kind"),
            "hard_monotonic goes through a text from its first symbol to its last, and a picture has no such order; choose additive",
        )
    if decoder.order != "luong" or decoder.input_feeding:
        yield (
            (*path, "order"),
            "what hard_monotonic looks at enters no recurrent step; leave order and input_feeding out, or choose additive",
        )


def _sees_the_source(recipe: Recipe) -> Broken:
    decoder = recipe.model.decoder
    if not isinstance(decoder, RecurrentDecoder) or not isinstance(decoder.attention, NoAttention):
        return
    if decoder.bridge == "zeros" and not decoder.attention.feed_summary:
        yield (
            ("model", "decoder", "bridge"),
            "a decoder that starts from zeros and has no attention never sees the source; choose bridge dense, or set "
            "attention.feed_summary to true",
        )


def _bridge_copy(recipe: Recipe) -> Broken:
    encoder, decoder = text_encoder(recipe.model.encoder) or recipe.model.encoder, recipe.model.decoder
    if not isinstance(decoder, RecurrentDecoder) or decoder.bridge != "copy":
        return
    path, or_dense = ("model", "decoder", "bridge"), "; mend that, or set bridge to dense"
    if not isinstance(encoder, RecurrentEncoder):
        yield path, f"copy takes a recurrent encoder's states, but the encoder is {encoder.kind}{or_dense}"
        return
    if (encoder.kind == "lstm") != (decoder.kind == "lstm"):
        yield path, f"copy needs an LSTM on both sides or on neither, not {encoder.kind} and {decoder.kind}{or_dense}"
    if encoder.layers != decoder.layers:
        yield path, f"copy goes layer by layer, but there are {encoder.layers} and {decoder.layers} layers{or_dense}"
    if memory_width(recipe.model.encoder) != decoder.hidden_size:
        yield (
            path,
            f"copy needs states of one width, but the encoder's have {memory_width(recipe.model.encoder)} and the decoder's "
            f"{decoder.hidden_size}{or_dense}",
        )


def _radius_of_zeros(recipe: Recipe) -> Broken:
    initialization = recipe.model.initialization
    if initialization.recurrent_radius is not None and initialization.recurrent == "zeros":
        yield (
            ("model", "initialization", "recurrent_radius"),
            "a matrix of zeros has no other spectral radius; choose another initialization.recurrent, or leave this out",
        )


def _heads(recipe: Recipe) -> Broken:
    for path, stack in [*encoders(recipe.model), (("model", "decoder"), recipe.model.decoder)]:
        if not isinstance(stack, TransformerStack):
            continue
        path = (*path, "heads")
        if stack.hidden_size % stack.heads:
            yield path, f"{stack.heads} heads cannot share hidden_size {stack.hidden_size} evenly"
        elif (
            isinstance(stack, TransformerSection)
            and stack.positions == "rotary"
            and stack.hidden_size // stack.heads % 2
        ):
            yield path, f"rotary positions need an even width a head, not {stack.hidden_size // stack.heads}"


def _learned_positions(recipe: Recipe) -> Broken:
    decoder = recipe.model.decoder
    if not isinstance(decoder, TransformerDecoder) or decoder.positions != "learned":
        return
    if recipe.search.max_length > decoder.max_positions:
        yield (
            ("search", "max_length"),
            f"{recipe.search.max_length} is more than the {decoder.max_positions} learned positions of the decoder; "
            "lower it, or raise model.decoder.max_positions",
        )


def _max_distance(recipe: Recipe) -> Broken:
    for path, stack in [*encoders(recipe.model), (("model", "decoder"), recipe.model.decoder)]:
        if isinstance(stack, TransformerSection) and stack.max_distance is not None and stack.positions != "relative":
            yield (
                (*path, "max_distance"),
                f"is for relative positions, and these are {stack.positions}; leave it out, or set positions to relative",
            )


def _ties(recipe: Recipe) -> Broken:
    tie, encoder, decoder = recipe.model.tie, recipe.model.encoder, recipe.model.decoder
    path = ("model", "tie")
    if tie == "none":
        return
    if isinstance(decoder, FeedforwardDecoder):
        yield path, f"{tie} ties the target's embeddings, but a feedforward decoder has none; set tie to none"
        return
    reader = text_encoder(encoder)
    if reader is None and tie != "target_output":
        yield path, f"{tie} ties the source's embeddings, but an encoder of kind {encoder.kind} has none"
        return
    source_width = reader.hidden_size if isinstance(reader, TransformerEncoder) else reader and reader.embedding_size
    target_width = decoder.hidden_size if isinstance(decoder, TransformerDecoder) else decoder.embedding_size
    if tie != "target_output":
        if recipe.target.tokenizer.kind != "shared":
            yield path, f"{tie} needs one vocabulary for both sides; set target.tokenizer to {{kind: shared}}"
        if source_width != target_width:
            yield path, f"{tie} needs embeddings of one width, not {source_width} and {target_width}"
    if tie != "source_target" and decoder.hidden_size != target_width:
        yield (
            path,
            f"{tie} needs the decoder's hidden_size ({decoder.hidden_size}) to be its embedding_size ({target_width})",
        )


def _shared_alike(recipe: Recipe) -> Broken:
    if recipe.target.tokenizer.kind != "shared":
        return
    for key in ("lowercase", "normalize"):
        own, of_source = getattr(recipe.target, key), getattr(recipe.source, key)
        if own != of_source:
            yield (
                ("target", key),
                f"{shown(own)}, but the shared tokenizer is the source's, whose {key} is {shown(of_source)}; give both the same",
            )


def _watching_needs_validation(recipe: Recipe) -> Broken:
    if has_split(recipe.data, "validation"):
        return
    training, remedy = recipe.training, "needs a validation split to watch, and data names none"
    if training.schedule.kind == "plateau":
        yield ("training", "schedule", "kind"), f"plateau {remedy}"
    if training.early_stopping is not None:
        yield ("training", "early_stopping"), f"early_stopping {remedy}"


def _rewinding_needs_checkpoints(recipe: Recipe) -> Broken:
    spikes = recipe.training.spikes
    if spikes is not None and spikes.rewind is not None and recipe.training.keep_checkpoints < 2:
        yield (
            ("training", "keep_checkpoints"),
            "spikes.rewind needs 2 or more: the one to go back to, and the one that an interruption makes",
        )


def _best_metric(recipe: Recipe) -> Broken:
    best, metrics = recipe.training.best_metric, recipe.evaluation.metrics
    if best != "loss" and best not in metrics:
        yield (
            ("training", "best_metric"),
            f"{best} is not measured; add it to evaluation.metrics ({', '.join(metrics)})",
        )


def _teacher_forcing(recipe: Recipe) -> Broken:
    decoder = recipe.model.decoder
    if recipe.training.teacher_forcing < 1 and not isinstance(decoder, RecurrentDecoder):
        yield ("training", "teacher_forcing"), f"below 1 needs a recurrent decoder, not {decoder.kind}"


def _scheduled_sampling(recipe: Recipe) -> Broken:
    training = recipe.training
    if training.scheduled_sampling is None:
        return
    if isinstance(recipe.model.decoder, FeedforwardDecoder):
        yield (
            ("training", "scheduled_sampling"),
            "is about the symbols that the decoder reads, and a feedforward decoder reads none; set it to null",
        )
    if training.teacher_forcing < 1:
        yield (
            ("training", "teacher_forcing"),
            "below 1 replaces given symbols at a fixed rate, and scheduled_sampling does so too; set teacher_forcing: 1 or scheduled_sampling: null",
        )


def _nesterov(recipe: Recipe) -> Broken:
    optimizer = recipe.training.optimizer
    if isinstance(optimizer, SgdSection) and optimizer.nesterov and not optimizer.momentum:
        yield (
            ("training", "optimizer", "nesterov"),
            "looks ahead along the momentum, and there is none; raise momentum, as to 0.9, or leave nesterov out",
        )


def _r_drop(recipe: Recipe) -> Broken:
    model = recipe.model
    dropouts = (model.dropout, model.embedding_dropout, model.attention_dropout, model.activation_dropout)
    if recipe.training.r_drop is not None and not any(dropouts):
        yield ("training", "r_drop"), "two passes differ in what dropout drops, and there is none; raise model.dropout"


def _losses_of_attention(recipe: Recipe) -> Broken:
    for key in ("doubly_stochastic", "coverage_loss"):
        if getattr(recipe.training, key) is None:
            continue
        if not attends(recipe.model.decoder):
            yield (
                ("training", key),
                "is about what the decoder attends to, and it has no attention; choose one, or set it to null",
            )
        if recipe.training.compile:
            yield (
                ("training", "compile"),
                f"a compiled model does not show the attention that {key} is about; set compile: false or {key}: null",
            )


def _coverage(recipe: Recipe) -> Broken:
    decoder = recipe.model.decoder
    if not isinstance(decoder, RecurrentDecoder) or not isinstance(decoder.attention, AdditiveAttention):
        return
    if decoder.attention.coverage and decoder.attention.hops > 1:
        yield (
            ("model", "decoder", "attention", "coverage"),
            f"is about one look a step, and there are {decoder.attention.hops} hops; set hops to 1, or coverage to false",
        )


def _copying(recipe: Recipe) -> Broken:
    if not recipe.model.copying:
        return
    if not attends(recipe.model.decoder):
        yield (
            ("model", "copying"),
            "takes what the decoder attends to, and it has no attention; choose one, or set copying to false",
        )
    if image_encoder(recipe.model.encoder) is not None:
        yield ("model", "copying"), "takes symbols of a text, and an image has none; set copying to false"
    if recipe.training.compile:
        yield (
            ("training", "compile"),
            "a compiled model does not show the attention that model.copying takes symbols by; set compile: false or "
            "model.copying: false",
        )
    if recipe.search.shortlist is not None:
        yield (
            ("search", "shortlist"),
            "scores a list of symbols alone, and what model.copying finds may not be on it; leave it out, or set model.copying to false",
        )


def _unknown_rate(recipe: Recipe) -> Broken:
    path, from_text = ("training", "unknown_rate"), text_encoder(recipe.model.encoder) is not None
    if recipe.search.unknown == "copied" and not from_text:
        yield ("search", "unknown"), "copied takes symbols of a text, and an image has none; set it to true or false"
    if not recipe.training.unknown_rate:
        return
    if not from_text:
        yield path, "makes symbols of a text unknown, and an image has none; set it to 0"
    elif not recipe.search.unknown:
        yield (
            path,
            "teaches to write the unknown symbol, which search.unknown forbids; set that to copied, or this to 0",
        )


def _sharding(recipe: Recipe) -> Broken:
    if recipe.training.compile and recipe.training.sharding == "full":
        yield ("training", "compile"), "a sharded model cannot be compiled; set compile: false or sharding: none"


RULES: tuple[Callable[[Recipe], Broken], ...] = (
    _steps_or_epochs,
    _dot_widths,
    _attention_order,
    _hard_monotonic,
    _sees_the_source,
    _bridge_copy,
    _radius_of_zeros,
    _heads,
    _learned_positions,
    _max_distance,
    _ties,
    _shared_alike,
    _watching_needs_validation,
    _rewinding_needs_checkpoints,
    _best_metric,
    _teacher_forcing,
    _scheduled_sampling,
    _nesterov,
    _r_drop,
    _losses_of_attention,
    _coverage,
    _copying,
    _unknown_rate,
    _sharding,
    *DATA_RULES,
    *SEARCH_RULES,
    *IMAGE_RULES,
)
NOT_OF_RUNS = (_shared_alike, _nesterov, _unknown_rate, where_of_tables)
"""Rules that refuse what did nothing, or is about training alone: a run that was trained so is what it is."""
