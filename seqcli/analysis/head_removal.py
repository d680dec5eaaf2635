"""What a head is good for: by how much the loss rises without it (Michel et al. 2019, "Are sixteen heads really better than one?", §3.2).

A head is removed by zeros in place of its part of the context. Attention with one head, a recurrent decoder's, is removed whole; one that is hard
and monotonic, which gives no context, then no longer knows where to go.
Where a model copies, a head goes on pointing: it is what it brings that is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from seqcli.analysis.attention_kinds import KINDS, KindName
from seqcli.evaluation.attention import attention_names
from seqcli.evaluation.translator import Translator
from seqcli.nn.monotonic_attention import MonotonicAttention
from seqcli.nn.pointer import NEVER
from seqcli.nn.trace import trace_attention
from seqcli.symbols import Example
from seqcli.types import Batch, Memory

BATCH = 64

Place = tuple[KindName, int, int]
"""A head: its kind, layer and head, both counted from 1."""


def losses_without(translator: Translator, examples: Sequence[Example]) -> dict[Place, float]:
    """By how much the loss of the examples' targets rises without each head, in nats a symbol; negative where it falls.

    All examples have a target, and there is one at least. What a head of the decoder does is measured with the encoder as it is.
    """
    batches = [_batch(translator, examples[start : start + BATCH]) for start in range(0, len(examples), BATCH)]
    symbols = sum(batch.target_tokens for batch in batches)
    places = _places(translator, batches[0])
    rises = dict.fromkeys(places, 0.0)
    with torch.inference_mode():
        for batch in batches:
            memory = translator.model.encoder(batch)
            whole = _loss(translator, batch, memory)
            for place, (module, head) in places.items():
                with _removed(module, head):
                    read = translator.model.encoder(batch) if place[0] == "encoder" else memory
                    rises[place] += (_loss(translator, batch, read) - whole) / symbols
    return rises


def _batch(translator: Translator, examples: Sequence[Example]) -> Batch:
    return translator.batch(examples, [translator.encode_target(example.target or "") for example in examples])


def _loss(translator: Translator, batch: Batch, memory: Memory) -> float:
    """The summed cross-entropy of a batch's labels, in nats, where its sources are read already."""
    model = translator.model
    return float(model.loss(batch, forward=lambda batch, _: model.decoder(batch.inputs, model.begin(batch, memory))[0]))


def _places(translator: Translator, batch: Batch) -> dict[Place, tuple[nn.Module, int]]:
    """Every head of the model as its module, and which of the module's heads it is."""
    model = translator.model.eval()
    with torch.inference_mode(), trace_attention(model) as maps:
        model.decoder(batch.inputs, model.begin(batch, model.encoder(batch)))
    names = attention_names(maps)
    return {
        (kind, layer + 1, head + 1): (model.get_submodule(name), head)
        for kind in KINDS
        for layer, name in enumerate(names[kind])
        for head in range(maps[name].shape[1])
    }


@contextmanager
def _removed(module: nn.Module, head: int) -> Iterator[None]:
    """Within this block one head of an attention gives zeros."""
    heads = getattr(module, "heads", 1)
    if heads == 1 and not hasattr(module, "output"):
        hook = module.register_forward_hook(_nothing)
    else:
        hook = _output(module).register_forward_pre_hook(_without(head, heads))
    try:
        yield
    finally:
        hook.remove()


def _output(module: nn.Module) -> nn.Module:
    """What mixes the heads' contexts, side by side in its inputs."""
    return module.get_submodule("output")


def _nothing(module: nn.Module, inputs: Any, found: Tensor | tuple[Tensor, Tensor]) -> Tensor | tuple[Tensor, Tensor]:
    """Zeros for a context; what is covered beside it is. Where there is no context, but a chain of looks, all moves that are allowed are
    alike."""
    if isinstance(module, MonotonicAttention):
        assert isinstance(found, Tensor)
        return torch.where(found > NEVER / 2, 0.0, NEVER).log_softmax(dim=-1)
    return torch.zeros_like(found) if isinstance(found, Tensor) else (torch.zeros_like(found[0]), found[1])


def _without(head: int, heads: int) -> Any:
    def blank(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        contexts = inputs[0].reshape(*inputs[0].shape[:-1], heads, -1).clone()
        contexts[..., head, :] = 0.0
        return (contexts.flatten(-2), *inputs[1:])

    return blank
