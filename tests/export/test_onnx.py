"""onnxruntime computes what every model of the zoo does, step by step under our own search, and what the docs' numpy decodes with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models.zoo import ENCODER_KINDS, IMAGE, IMAGE_KINDS, Specimen, batch, built, models_with
from torch import Tensor

import seqcli
from seqcli.export.graphs import Graph, write_graphs
from seqcli.recipe.model import Model
from seqcli.search.beam import beam_search
from seqcli.symbols import BOS, EOS, PAD
from seqcli.types import Batch, State

onnxruntime = pytest.importorskip("onnxruntime")

Arrays = dict[str, Any]
QUICK = ("gru", "transformer", "patch", "image_text")
"""The kinds of encoders that the quick tests export: one that walks, one that looks at all, one that sees, and one that does both."""


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def opened(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options)


def run(session: Any, tensors: Arrays) -> Arrays:
    """What a graph makes of those of the tensors that it wants, by name."""
    names = [output.name for output in session.get_outputs()]
    return dict(
        zip(names, session.run(names, {one.name: tensors[one.name] for one in session.get_inputs()}), strict=True)
    )


class Runtime:
    """A model that onnxruntime runs, as a search calls it: `start`, and `step` over a `State` of the tensors of the graphs.

    The search keeps the memory once a sentence, the graphs a row for each hypothesis.
    """

    def __init__(self, folder: Path, graphs: tuple[Graph, Graph]) -> None:
        self.encoder, self.one_step = (opened(folder / graph.file) for graph in graphs)

    def start(self, given: Batch) -> State:
        assert given.image is not None
        tensors = run(self.encoder, {"source": given.source.numpy(), "image": given.image.numpy()})
        return State(part(tensors, "memory."), part(tensors, "cache."))

    def step(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        tensors: Arrays = {"ids": ids.numpy(), "position": np.array(state.position)}
        for name, tensor in state.memory.items():
            tensors[f"memory.{name}"] = tensor.repeat_interleave(len(ids) // len(tensor), dim=0).numpy()
        for name, tensor in state.cache.items():
            tensors[f"cache.{name}"] = tensor.numpy()
        found = run(self.one_step, tensors)
        state = State(state.memory, part(found, "next.cache."), state.position + 1)
        return torch.tensor(found["logits"]).log_softmax(-1), state


def part(tensors: Arrays, kind: str) -> dict[str, Tensor]:
    return {name.removeprefix(kind): torch.tensor(each) for name, each in tensors.items() if name.startswith(kind)}


def check(specimen: Specimen, folder: Path) -> None:
    """Other batch sizes and lengths than those it was traced with, from a single row to more than the window of a network without
    memory: greedily and with a beam, the same symbols, and the same scores."""
    model, kind = specimen.model, specimen.section.encoder.kind
    images = kind in IMAGE_KINDS or kind == "image_text"
    graphs = write_graphs(folder, model, texts=kind not in IMAGE_KINDS, image_shape=IMAGE if images else None)
    exported = Runtime(folder, graphs)
    for lengths, limits in (([7, 5, 2, 14], [8, 6, 5, 13]), ([6], [20])):
        given = batch(lengths, [1] * len(lengths), seed=len(lengths))
        for beam_size in (1, 3):
            theirs = beam_search(exported.step, exported.start(given), limits, beam_size=beam_size)
            ours = beam_search(model.step, model.start(given), limits, beam_size=beam_size)
            assert torch.equal(theirs.ids, ours.ids), specimen
            assert torch.equal(theirs.lengths, ours.lengths), specimen
            assert (theirs.log_probs - ours.log_probs).abs().max() <= 1e-4, specimen


@pytest.mark.parametrize("kind", QUICK)
def test_each_kind_of_encoder_with_each_kind_of_decoder(kind: str, tmp_path: Path) -> None:
    """One model of each pair that the zoo has, and one that copies; all models are exported under the mark `real`."""
    met = {(one.section.decoder.kind, one.section.copying): one for one in models_with(kind)}
    assert len(met) >= 4
    assert any(copies for _, copies in met) == (kind not in (*IMAGE_KINDS, "image_text"))
    for specimen in met.values():
        check(specimen, tmp_path)


@pytest.mark.real
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("kind", ENCODER_KINDS)
def test_every_model_of_the_zoo(kind: str, tmp_path: Path) -> None:
    for specimen in models_with(kind):
        check(specimen, tmp_path)


def test_a_question_starts_a_transformer_at_its_first_symbol_alone(tmp_path: Path) -> None:
    """The one decoder that asks whether it stands at the first symbol."""
    found = [one for one in models_with("image_text") if one.section.decoder.kind == "transformer"]
    assert found
    check(found[0], tmp_path)
    assert "memory.start" in {one.name for one in opened(tmp_path / "step.onnx").get_inputs()}


@pytest.mark.parametrize("order", ["luong", "bahdanau"])
def test_what_is_covered_goes_from_step_to_step(order: str, tmp_path: Path) -> None:
    """In a pointer-generator, whose paper has it."""
    side = {"kind": "lstm", "hidden_size": 16, "embedding_size": 12}
    decoder = {**side, "order": order, "attention": {"kind": "additive", "coverage": True}}
    section = Model.model_validate({"encoder": side, "decoder": decoder, "copying": True})
    torch.manual_seed(0)
    model = built(section).eval()
    torch.nn.init.constant_(model.decoder.attention.covered.weight, -3.0)
    check(Specimen(section, model), tmp_path)
    renewed = {one.name: one.shape for one in opened(tmp_path / "step.onnx").get_outputs()}
    assert renewed["next.cache.covered"] == ["batch", "source"]


def test_the_description_is_that_of_the_graphs(copy_run: Path, tmp_path: Path) -> None:
    loaded = seqcli.load(copy_run)
    loaded.export(tmp_path / "copy", to="onnx")
    about = json.loads((tmp_path / "copy" / "model.json").read_text(encoding="utf-8"))
    for name in ("encoder", "step"):
        session, told = opened(tmp_path / "copy" / about[name]["file"]), about[name]
        for ports, direction in ((session.get_inputs(), "inputs"), (session.get_outputs(), "outputs")):
            shapes = {one.name: [*one.shape] for one in ports}
            expected = told[direction]
            unread = {"position"} if direction == "inputs" else set()
            assert set(expected) - unread <= set(shapes) <= set(expected)
            for each, shape in shapes.items():
                assert len(shape) == len(expected[each]), each
                sizes = zip(shape, expected[each], strict=True)
                assert all(size == other or isinstance(size, str) for size, other in sizes), each
    assert about["symbols"] == {"pad": PAD, "bos": BOS, "eos": EOS, "unk": 3}
    assert (about["unknown"], about["source"]["split"], about["source"]["separator"]) == (None, "whitespace", " ")
    assert about["target"]["tokens"][:4] == ["<pad>", "<s>", "</s>", "<unk>"]
    assert about["never_written"] == [0, 1, 3]
    seqcli.load(copy_run, ["search.unknown=copied"]).export(tmp_path / "copied", to="onnx")
    about = json.loads((tmp_path / "copied" / "model.json").read_text(encoding="utf-8"))
    assert (about["unknown"], about["never_written"]) == ("copied", [PAD, BOS])


def test_numpy_alone_decodes_a_test_set(copy_run: Path, tmp_path: Path) -> None:
    """One sentence at a time and greedily, from `model.json` and the graphs, as the docs show it."""
    loaded = seqcli.load(copy_run)
    loaded.export(tmp_path / "copy", to="onnx")
    about = json.loads((tmp_path / "copy" / "model.json").read_text(encoding="utf-8"))
    encoder, step = (opened(tmp_path / "copy" / about[name]["file"]) for name in ("encoder", "step"))
    known = {token: i for i, token in enumerate(about["source"]["tokens"])}
    symbols = about["symbols"]
    examples = list(loaded.corpus("test").read())
    written = loaded.translate([example.source for example in examples], beam_size=1)
    assert len(set(written)) > 15
    for example, expected in zip(examples, written, strict=True):
        source = [*(known.get(character, symbols["unk"]) for character in example.source), symbols["eos"]]
        tensors = run(encoder, {"source": np.array([source])})
        ids = [symbols["bos"]]
        while ids[-1] != symbols["eos"] and len(ids) <= about["max_length"]:
            tensors |= {"ids": np.array(ids[-1:]), "position": np.array(len(ids) - 1)}
            found = run(step, tensors)
            tensors |= {name.removeprefix("next."): array for name, array in found.items()}
            logits = found["logits"][0]
            logits[about["never_written"]] = -np.inf
            ids.append(int(logits.argmax()))
        text = "".join(about["target"]["tokens"][i] for i in ids[1:] if i != symbols["eos"])
        assert text == expected


def test_the_model_is_as_it_was(copy_run: Path, tmp_path: Path) -> None:
    loaded = seqcli.load(copy_run)
    model = loaded.translator.model
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    loaded.export(tmp_path / "copy", to="onnx")
    assert not model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
