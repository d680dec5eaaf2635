"""How much memory a step will take: what is counted, what is predicted, what is chosen."""

from __future__ import annotations

import pytest
import torch
from models.zoo import VOCABULARY

from seqcli.build.model import build_model
from seqcli.recipe.model import Model
from seqcli.training import memory
from seqcli.training.memory import SIZES, LiveBytes, Shape, choose_batch, predicted_peak
from seqcli.training.optim import Sgd
from seqcli.training.step import Objective

PLAIN = Objective(label_smoothing=0.1, clip_norm=None, teacher_forcing=1.0, accumulation=1)
STACK = {"kind": "transformer", "hidden_size": 32, "layers": 2, "heads": 2, "feedforward_size": 64}
LSTM = {"kind": "lstm", "hidden_size": 32, "embedding_size": 32}
MODELS = {
    "transformer": {"encoder": STACK, "decoder": STACK, "dropout": 0.1, "attention_dropout": 0.1},
    "recurrent": {"encoder": LSTM, "decoder": {**LSTM, "attention": {"kind": "additive"}}},
}
CONV = {"kind": "conv", "hidden_size": 32, "channels": [8, 16]}
OF_IMAGES = {
    "conv": {"encoder": CONV, "decoder": {**LSTM, "attention": {"kind": "additive"}}},
    "patch": {"encoder": {**STACK, "kind": "patch", "patch_size": 4}, "decoder": STACK},
    "both": {"encoder": {"kind": "image_text", "image": CONV, "text": STACK}, "decoder": STACK},
}
IMAGE = (3, 16, 24)
MEGABYTE = 2**20


def test_live_bytes_come_and_go() -> None:
    with LiveBytes() as live:
        kept = torch.ones(MEGABYTE // 4)
        passing = kept * 2
        view = passing[1:]
        assert live.now == 2 * MEGABYTE
        del passing, view
        assert live.now == MEGABYTE
    assert live.peak == 2 * MEGABYTE


@pytest.mark.parametrize("name", MODELS)
def test_small_batches_predict_a_large_one(name: str) -> None:
    torch.manual_seed(1)
    model = build_model(Model.model_validate(MODELS[name]), VOCABULARY, VOCABULARY)
    shape = Shape(rows=800, source=21, target=17)
    weights = [parameter.detach().clone() for parameter in model.parameters()]
    state = torch.get_rng_state()
    predicted = predicted_peak(model, [Shape(10, 3, 3), shape], PLAIN)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(*pair) for pair in zip(weights, model.parameters(), strict=True))
    assert all(parameter.grad is None for parameter in model.parameters())
    with LiveBytes() as live:
        torch.autograd.backward(model.loss(shape.filled(), label_smoothing=0.1))
    assert predicted == pytest.approx(live.peak, rel=0.1)


@pytest.mark.parametrize("name", OF_IMAGES)
def test_images_are_predicted_too(name: str) -> None:
    """Of many short sentences or a few long ones; the images make the many the larger batch, though it has fewer symbols."""
    torch.manual_seed(1)
    model = build_model(Model.model_validate(OF_IMAGES[name]), VOCABULARY, VOCABULARY, image_shape=IMAGE)
    many, few = Shape(160, 2, 5, IMAGE), Shape(60, 8, 12, IMAGE)
    assert many.cells() < few.cells()
    predicted, peaks = predicted_peak(model, [many, few], PLAIN), []
    for shape in (many, few):
        with LiveBytes() as live:
            torch.autograd.backward(model.loss(shape.filled(), label_smoothing=0.1))
        peaks.append(live.peak)
        model.zero_grad(set_to_none=True)
    assert peaks[0] > peaks[1]
    assert predicted == pytest.approx(peaks[0], rel=0.1)


@pytest.mark.parametrize(
    ("symbols", "free", "expected"),
    [
        (10**9, 10**15, SIZES[0]),  # nothing but the upper bound
        (300_000, 10**15, 2048),  # a hundred batches an epoch
        (10**9, 0, SIZES[-1]),  # no memory: the smallest is tried all the same
        (100, 10**15, SIZES[-1]),  # little data
    ],
)
def test_what_bounds_the_choice(monkeypatch: pytest.MonkeyPatch, symbols: int, free: int, expected: int) -> None:
    model = build_model(Model.model_validate(MODELS["recurrent"]), VOCABULARY, VOCABULARY)
    monkeypatch.setattr(memory, "free_bytes", lambda device: free)

    def shapes(size: int) -> list[Shape]:
        return [Shape(rows=max(1, size // 1000), source=10, target=10)] * -(-symbols // size)

    optimizer = Sgd(model.named_parameters(), momentum=0.0, nesterov=False, weight_decay=0.0)
    assert choose_batch(model, optimizer, shapes, PLAIN).batch_tokens == expected


def test_the_choice_is_the_largest_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model(Model.model_validate(MODELS["transformer"]), VOCABULARY, VOCABULARY)
    optimizer = Sgd(model.named_parameters(), momentum=0.9, nesterov=False, weight_decay=0.0)

    def shapes(size: int) -> list[Shape]:
        return [Shape(rows=size // 20, source=20, target=20)] * 1000

    free = predicted_peak(model, shapes(2048), PLAIN) * 1.5
    monkeypatch.setattr(memory, "free_bytes", lambda device: int(free))
    choice = choose_batch(model, optimizer, shapes, PLAIN)
    assert choice.batch_tokens == 2048
    assert choice.free_bytes == int(free)
    assert choice.predicted_bytes > predicted_peak(model, shapes(2048), PLAIN)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't allocate memory: you tried to allocate 9 bytes")])
def test_what_cannot_be_tried_out_is_too_large(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    model = build_model(Model.model_validate(MODELS["recurrent"]), VOCABULARY, VOCABULARY)
    optimizer = Sgd(model.named_parameters(), momentum=0.0, nesterov=False, weight_decay=0.0)
    monkeypatch.setattr(memory, "free_bytes", lambda device: 10**15)

    def fail_above(rows: int) -> None:
        def backward(loss: torch.Tensor) -> None:
            if live_rows[-1] > rows:
                parameters[0].grad = torch.zeros_like(parameters[0])
                raise error

        monkeypatch.setattr(torch.autograd, "backward", backward)

    def shapes(size: int) -> list[Shape]:
        return [Shape(rows=size // 20, source=20, target=20)] * 1000

    parameters, live_rows, filled = list(model.parameters()), [0], Shape.filled
    monkeypatch.setattr(Shape, "filled", lambda shape: live_rows.append(shape.rows) or filled(shape))
    fail_above(2048 // 20 // 4 + 1)
    assert choose_batch(model, optimizer, shapes, PLAIN).batch_tokens == 2048
    assert all(parameter.grad is None for parameter in parameters)
    fail_above(0)
    with pytest.raises(type(error)):
        choose_batch(model, optimizer, shapes, PLAIN)
