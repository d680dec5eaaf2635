"""A model as two graphs without loops: what reads the source, and one step of what writes the target.

    encoder    source ids (B,S), images  →  memory.* and the first cache.*
    step       ids (B,), position (), memory.*, cache.*  →  logits (B,V) and next.cache.*

The tensors are those of a decoder's `State`, by its own names: which there are, and which of their axes depend on what, is found by running
the model on little batches, not known beforehand. Of a history, which has room for several hypotheses of a sentence, a graph sees one: it is a
cache (B,P,D) that a step makes longer. The search stays outside.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union, cast

import torch
from torch import Tensor, nn

from seqcli.models.seq2seq import Seq2Seq
from seqcli.models.transformer import TransformerDecoder
from seqcli.symbols import EOS, PAD, UNK
from seqcli.types import Batch, State

OPSET = 17
"""The first that has layer normalisation."""

Shape = list[Union[int, str]]
"""Sizes, and names of those that may differ from call to call."""


@dataclass(frozen=True)
class Graph:
    """A file with the shapes of what goes in and what comes out, by name."""

    file: str
    inputs: dict[str, Shape]
    outputs: dict[str, Shape]


@dataclass(frozen=True)
class Ports:
    """The tensors of a model's state by name, with their shapes: constant ones, and those that each step renews, before it and after. Some of
    these are a `history`."""

    memory: dict[str, Shape]
    cache: dict[str, Shape]
    grown: dict[str, Shape]
    history: tuple[str, ...]


class EncoderGraph(nn.Module):
    """Reads sources: the state before the first symbol."""

    def __init__(self, model: Seq2Seq, ports: Ports, *, texts: bool, images: bool) -> None:
        super().__init__()
        self.model, self.ports, self.texts, self.images = model, ports, texts, images
        self.eval()

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Source ids (B,S), PAD behind their ends, and images (B,…), of which a model reads one or both → memory and cache."""
        batch = _batch(given[0] if self.texts else None, given[-1] if self.images else None)
        state = self.model.start(batch)
        rows = batch.source.shape[0]
        first = _renewed(state)
        cache = [
            first[name] if name in first else _nothing_yet(rows, shape) for name, shape in self.ports.cache.items()
        ]
        return (*(state.memory[name] for name in self.ports.memory), *cache)


class StepGraph(nn.Module):
    """Reads one symbol of each row: the scores of the next, and the cache after it."""

    def __init__(self, model: Seq2Seq, ports: Ports) -> None:
        super().__init__()
        self.model, self.ports = model, ports
        self.eval()

    def forward(self, ids: Tensor, position: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
        """Ids (B,), the number of symbols read before, memory and cache → logits (B,V) and cache."""
        memory = dict(zip(self.ports.memory, given, strict=False))
        cache = dict(zip(self.ports.cache, given[len(memory) :], strict=True))
        history = {name: cache.pop(name)[:, :, None] for name in self.ports.history}
        # a tensor for once, so that it is an input of the graph and no constant
        state = State(memory, cache, cast(int, position), history)
        with _first_symbol_begun(self.model.decoder, memory, position):
            scores, state = self.model.step(ids, state)
        renewed = _renewed(state)
        return (scores, *(renewed[name] for name in self.ports.grown))


@contextmanager
def _first_symbol_begun(decoder: Any, memory: Mapping[str, Tensor], position: Tensor) -> Iterator[None]:
    """A block in which a Transformer's bridge acts at position 0 whichever position is traced: a graph has no branches, so what the decoder
    adds at the first symbol alone is added at every symbol, times 0 or 1."""
    if not isinstance(decoder, TransformerDecoder) or decoder.bridge is None:
        yield
        return
    hook = decoder.positions.register_forward_hook(
        lambda module, inputs, placed: placed + memory["start"] * (position == 0)
    )
    try:
        yield
    finally:
        hook.remove()


def write_graphs(
    folder: Path, model: Seq2Seq, *, texts: bool, image_shape: Sequence[int] | None
) -> tuple[Graph, Graph]:
    """Write `encoder.onnx` and `step.onnx` of a model that reads texts, images of a shape, or both."""
    with torch.inference_mode(False), torch.no_grad():
        ports = find_ports(model, texts=texts, image_shape=image_shape)
        encoder, step = _graphs(model, ports, texts=texts, image_shape=image_shape)
        batch = example_batch(3, 3, image_shape)
        sources = [*([batch.source] if texts else []), *([] if batch.image is None else [batch.image])]
        # after a step, so that no axis is of length 0 and the position is not that of the first symbol
        state = _after(model, model.start(batch), 1)
        constants, renewed = (state.memory[name] for name in ports.memory), _renewed(state).values()
        given = [torch.full((3,), UNK), torch.tensor(1), *constants, *renewed]
        _write(folder, encoder, EncoderGraph(model, ports, texts=texts, images=image_shape is not None), sources)
        _write(folder, step, StepGraph(model, ports), given)
    return encoder, step


def _graphs(model: Seq2Seq, ports: Ports, *, texts: bool, image_shape: Sequence[int] | None) -> tuple[Graph, Graph]:
    """The two files with their inputs and outputs, in the order in which the modules have them."""
    sources: dict[str, Shape] = {"source": ["batch", "source"]} if texts else {}
    if image_shape is not None:
        sources["image"] = ["batch", *image_shape]
    state = {
        **{f"memory.{name}": shape for name, shape in ports.memory.items()},
        **{f"cache.{name}": shape for name, shape in ports.cache.items()},
    }
    scores: dict[str, Shape] = {"logits": ["batch", model.output.out_features]}
    grown = {f"next.cache.{name}": shape for name, shape in ports.grown.items()}
    symbols: dict[str, Shape] = {"ids": ["batch"], "position": []}
    return Graph("encoder.onnx", sources, state), Graph("step.onnx", {**symbols, **state}, {**scores, **grown})


def find_ports(model: Seq2Seq, *, texts: bool, image_shape: Sequence[int] | None) -> Ports:
    """The tensors of a model's state. What changes with the length of the source, or from step to step, has an axis with a name."""
    short, long = (model.start(example_batch(2, length, image_shape)) for length in (2, 3))
    once, twice = _after(model, long, 1), _after(model, long, 2)

    def named(name: str, part: Tensor) -> Shape:
        shape: Shape = ["batch", *part.shape[1:]]
        other = short.memory[name].shape
        for axis in range(1, part.dim()):
            if part.shape[axis] != other[axis]:
                shape[axis] = "source" if part.shape[axis] == 3 else "memory"
        return shape

    def growing(part: Tensor, later: Tensor, word: str) -> Shape:
        lengths = zip(part.shape[1:], later.shape[1:], strict=True)
        return ["batch", *(size if size == after else word for size, after in lengths)]

    cache, grown = (
        {name: growing(part, _renewed(twice)[name], word) for name, part in _renewed(once).items()}
        for word in ("position", "position_and_1")
    )
    return Ports({name: named(name, part) for name, part in long.memory.items()}, cache, grown, tuple(once.history))


def _renewed(state: State) -> dict[str, Tensor]:
    """What changes from step to step: the cache, and of a history (B,P,1,D) the one slot."""
    return {**state.cache, **{name: part[:, :, 0] for name, part in state.history.items()}}


def example_batch(rows: int, length: int, image_shape: Sequence[int] | None) -> Batch:
    """Sources of so many symbols, EOS counted."""
    source = torch.full((rows, length), UNK)
    source[:, -1] = EOS
    return _batch(source, None if image_shape is None else torch.rand(rows, *image_shape))


def _batch(source: Tensor | None, image: Tensor | None) -> Batch:
    if source is None:
        assert image is not None
        # rows of EOS alone: what an image without a text has as its text
        source = torch.full((image.shape[0], 1), EOS)
    return Batch(source, source != PAD, None, torch.arange(1), image)


def _after(model: Seq2Seq, state: State, steps: int) -> State:
    """The state after so many symbols."""
    rows = next(iter((*state.memory.values(), *state.cache.values()))).shape[0]
    for _ in range(steps):
        _, state = model.step(torch.full((rows,), UNK), state)
    return state


def _nothing_yet(rows: int, shape: Shape) -> Tensor:
    """What is cached of no symbols: a tensor whose growing axis is of length 0."""
    return torch.zeros(rows, *(size if isinstance(size, int) else 0 for size in shape[1:]))


def _write(folder: Path, graph: Graph, module: nn.Module, given: Sequence[Tensor]) -> None:
    named = {**graph.inputs, **graph.outputs}
    with _unheard(), _log_of_sum_known():
        torch.onnx.export(
            module,
            tuple(given),
            str(folder / graph.file),
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_axes={
                name: {axis: size for axis, size in enumerate(shape) if isinstance(size, str)}
                for name, shape in named.items()
            },
            opset_version=OPSET,
            # The exporter that traces: torch.export, which the other is built on, cannot see through packed sequences (torch 2.13), and takes
            # seconds for what this does in tenths.
            dynamo=False,
        )


@contextmanager
def _log_of_sum_known() -> Iterator[None]:
    """A block in which the exporter knows log(eᵃ + eᵇ), which a model that copies computes, as max(a,b) + log(1 + e^-|a-b|)."""

    def log_of_sum(graph: Any, a: Any, b: Any) -> Any:
        smaller = graph.op("Exp", graph.op("Neg", graph.op("Abs", graph.op("Sub", a, b))))
        both = graph.op("Add", smaller, graph.op("Constant", value_t=torch.tensor(1.0)))
        return graph.op("Add", graph.op("Max", a, b), graph.op("Log", both))

    from torch.onnx.utils import register_custom_op_symbolic, unregister_custom_op_symbolic

    register_custom_op_symbolic("aten::logaddexp", log_of_sum, OPSET)
    try:
        yield
    finally:
        unregister_custom_op_symbolic("aten::logaddexp", OPSET)


@contextmanager
def _unheard() -> Iterator[None]:
    """A block in which nobody hears what the exporter says of itself, from Python or from C++."""
    sys.stderr.flush()
    before, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(nowhere)
