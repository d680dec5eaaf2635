"""A Transformer of texts for CTranslate2, which runs it quickly on CPUs.

Its Transformer (`ctranslate2.specs.TransformerSpec`) is ours: norms before or after, ReLU or exact GELU, any table of positions, rotary
ones in neighbouring pairs of columns, vectors for the distances of keys. What it has no layer for is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from typing_extensions import assert_never

from seqcli.data.tokenizer import Tokenizer
from seqcli.errors import RecipeError
from seqcli.evaluation.reader import LONGEST_SOURCE
from seqcli.export.folder import Exported, export_folder
from seqcli.extras import require
from seqcli.models.seq2seq import Seq2Seq
from seqcli.nn.positions import sinusoidal
from seqcli.recipe.model import Model, TransformerDecoder, TransformerEncoder, TransformerSection
from seqcli.symbols import BOS, EOS, SPECIAL, UNK

QUANTIZATIONS = ("float32", "float16", "bfloat16", "int16", "int8")
"""What weights may be stored as; CTranslate2 computes in the nearest type that the processor is good at."""
POSITIONS = LONGEST_SOURCE
"""Rows of the table that sinusoidal positions become: sources are cut there anyway, and no hypothesis can be longer."""


def refuse_inexpressible(model: Model) -> None:
    """Raise `RecipeError`, naming the key, where a model is none that CTranslate2 knows."""
    for side, section, wanted in (
        ("encoder", model.encoder, TransformerEncoder),
        ("decoder", model.decoder, TransformerDecoder),
    ):
        if not isinstance(section, wanted):
            raise RecipeError(
                f"model.{side}.kind: CTranslate2 runs Transformers from text to text, and this is {section.kind}; "
                "export it to onnx, or use the native engine"
            )
    if model.copying:
        raise RecipeError(
            "model.copying: CTranslate2's Transformer only generates; export it to onnx, or use the native engine"
        )


def export_ctranslate2(place: Path, exported: Exported, quantization: str = "float32") -> None:
    """Write a folder that `ctranslate2.Translator` opens. Raises `RecipeError` for a model, or a quantization, that it does not know."""
    require("ctranslate2", "an export to ctranslate2")
    refuse_inexpressible(exported.recipe.model)
    if quantization not in QUANTIZATIONS:
        raise RecipeError(f"quantization {quantization!r}: there are {', '.join(QUANTIZATIONS)}")
    with export_folder(place, exported, "ctranslate2", {"quantization": quantization}) as folder:
        spec = transformer_spec(exported.recipe.model, exported.translator.model)
        for register, tokenizer in (
            (spec.register_source_vocabulary, exported.translator.source_tokenizer),
            (spec.register_target_vocabulary, exported.translator.target_tokenizer),
        ):
            register(symbol_names(tokenizer))
        spec.validate()
        spec.optimize(quantization=quantization)
        spec.save(str(folder))


def symbol_names(tokenizer: Tokenizer) -> list[str]:
    """A name for each id, no two alike: its label, and, where an earlier symbol has the same (a feature tag, say, that is a letter too), its
    number behind it."""
    names: dict[str, None] = {}
    for i, label in enumerate((*SPECIAL, *tokenizer.tokens(range(len(SPECIAL), tokenizer.size)))):
        names[label if label not in names else f"{label}⟨{i}⟩"] = None
    assert len(names) == tokenizer.size
    return list(names)


def transformer_spec(section: Model, model: Seq2Seq) -> Any:
    """The specification of a model, filled with copies of its weights: to quantise them writes over them."""
    from ctranslate2 import specs  # type: ignore[import-untyped]

    assert isinstance(section.encoder, TransformerEncoder)
    assert isinstance(section.decoder, TransformerDecoder)
    weights = {name: tensor.detach().float().cpu() for name, tensor in model.state_dict().items()}
    encoder = specs.TransformerEncoderSpec(section.encoder.layers, section.encoder.heads, **_options(section.encoder))
    decoder = specs.TransformerDecoderSpec(section.decoder.layers, section.decoder.heads, **_options(section.decoder))
    encoder.embeddings[0].weight = _array(weights["encoder.embedding.weight"])
    decoder.embeddings.weight = _array(weights["decoder.embedding.weight"])
    _fill_linear(decoder.projection, weights, "output")
    for side, spec, part in (("encoder", encoder, section.encoder), ("decoder", decoder, section.decoder)):
        table = _position_table(part, weights, side)
        if table is not None:
            spec.position_encodings.encodings = _array(table)
        if part.norm == "pre":
            _fill_norm(spec.layer_norm, weights, f"{side}.norm")
        for number, layer in enumerate(spec.layer):
            _fill_layer(layer, weights, f"{side}.layers.{number}", crossing=side == "decoder")
            if part.positions == "relative":
                table = weights[f"{side}.layers.{number}.attention.relative.embedding.weight"]
                _fill_distances(layer.self_attention, table, causal=side == "decoder")
    spec = specs.TransformerSpec(encoder, decoder)
    _configure(spec.config, model)
    return spec


def _configure(config: Any, model: Seq2Seq) -> None:
    """The special symbols, and what is added to the norms' variances."""
    config.bos_token, config.eos_token, config.unk_token = SPECIAL[BOS], SPECIAL[EOS], SPECIAL[UNK]
    config.decoder_start_token = SPECIAL[BOS]
    config.add_source_bos, config.add_source_eos = False, True
    (config.layer_norm_epsilon,) = {module.eps for module in model.modules() if isinstance(module, nn.LayerNorm)}


def _options(section: TransformerSection) -> dict[str, Any]:
    from ctranslate2.specs import Activation  # type: ignore[import-untyped]

    options: dict[str, Any] = {
        "pre_norm": section.norm == "pre",
        "activation": {"relu": Activation.RELU, "gelu": Activation.GELU}[section.activation],
    }
    if section.positions == "rotary":
        # 0: all columns of a head; interleaved: those that are turned together are neighbours
        options.update(rotary_dim=0, rotary_interleave=True)
    if section.positions == "relative":
        options.update(relative_position=True)
    return options


def _position_table(section: TransformerSection, weights: dict[str, Tensor], side: str) -> Tensor | None:
    match section.positions:
        case "sinusoidal":
            return sinusoidal(POSITIONS, section.hidden_size, like=torch.zeros(()))
        case "learned":
            return weights[f"{side}.positions.embedding.weight"]
        case "rotary" | "relative":
            return None
        case _:
            assert_never(section.positions)


def _fill_layer(layer: Any, weights: dict[str, Tensor], name: str, *, crossing: bool) -> None:
    """One layer: self-attention, attention over the memory where there is one, and the feed-forward network, each with its norm."""
    attentions: list[tuple[Any, str, tuple[str, ...]]] = [
        (layer.self_attention, "attention", ("query_key_value", "output"))
    ]
    if crossing:
        attentions.append((layer.attention, "cross_attention", ("query", "key_value", "output")))
    for number, (spec, attention, parts) in enumerate(attentions):
        _fill_norm(spec.layer_norm, weights, f"{name}.residuals.{number}.norm")
        for linear, part in zip(spec.linear, parts, strict=True):
            _fill_linear(linear, weights, f"{name}.{attention}.{part}")
    _fill_norm(layer.ffn.layer_norm, weights, f"{name}.residuals.{len(attentions)}.norm")
    _fill_linear(layer.ffn.linear_0, weights, f"{name}.feed_forward.inner")
    _fill_linear(layer.ffn.linear_1, weights, f"{name}.feed_forward.outer")


def _fill_distances(spec: Any, table: Tensor, *, causal: bool) -> None:
    """Relative positions: CTranslate2 has as many vectors for keys ahead of their query as for those behind it, and a decoder, which sees none
    of the former, gets zeros for them. What the paper adds to the values is not there."""
    from ctranslate2.specs.model_spec import OPTIONAL  # type: ignore[import-untyped]

    spec.relative_position_keys = _array(nn.functional.pad(table, (0, 0, 0, len(table) - 1)) if causal else table)
    spec.relative_position_values = OPTIONAL


def _fill_linear(spec: Any, weights: dict[str, Tensor], name: str) -> None:
    spec.weight, spec.bias = _array(weights[f"{name}.weight"]), _array(weights[f"{name}.bias"])


def _fill_norm(spec: Any, weights: dict[str, Tensor], name: str) -> None:
    spec.gamma, spec.beta = _array(weights[f"{name}.weight"]), _array(weights[f"{name}.bias"])


def _array(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.numpy().copy()
    return array
