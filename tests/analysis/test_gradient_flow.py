"""∂loss_T/∂h_t: equal to finite differences, and what the papers claim of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from analysis.copying import UNIFORM, built, copy_batch, flow_of, recurrent, slopes
from torch import Tensor, nn

from seqcli.analysis.flow import Chain
from seqcli.analysis.gradients import loss_and_states, measure_gradients, recurrent_matrices, traced
from seqcli.errors import SeqcliError
from seqcli.models.seq2seq import Seq2Seq
from seqcli.nn import unrolled
from seqcli.nn.recurrence import Recurrence

SEEDS = range(10)
WIDTH = 4
LAYERS: dict[str, Any] = {"kind": "gru", "hidden_size": WIDTH, "embedding_size": 3, "layers": 2}
TRANSFORMER: dict[str, Any] = {
    "kind": "transformer",
    "hidden_size": WIDTH,
    "layers": 2,
    "heads": 2,
    "feedforward_size": 6,
}
MODELS: dict[str, Callable[[], Seq2Seq]] = {
    "rnn": lambda: recurrent("rnn", width=WIDTH),
    "lstm": lambda: recurrent("lstm", width=WIDTH),
    "gru": lambda: recurrent("gru", width=WIDTH),
    "rnn, luong": lambda: recurrent("rnn", width=WIDTH, attention="dot"),
    "lstm, bahdanau": lambda: recurrent("lstm", width=WIDTH, attention="additive", order="bahdanau"),
    "gru, input feeding": lambda: recurrent("gru", width=WIDTH, attention="additive", input_feeding=True),
    "two layers": lambda: built(
        {**LAYERS, "bidirectional": True}, {**LAYERS, "attention": {"kind": "additive"}, "bridge": "dense"}
    ),
    "transformer": lambda: built(TRANSFORMER, TRANSFORMER),
}


def nudged_losses(
    model: Seq2Seq, chain: Chain, place: int, monkeypatch: pytest.MonkeyPatch, epsilon: float = 1e-5
) -> Tensor:
    """By finite differences ∂loss_T/∂h of one state of one example, (D,): each of its components is moved by ±epsilon."""
    batch = copy_batch(4, rows=1)
    units = epsilon * torch.eye(WIDTH, dtype=torch.float64)
    nudges = torch.cat([units, -units])
    many = batch.select(torch.zeros(len(nudges), dtype=torch.long))
    with monkeypatch.context() as patch, torch.no_grad():
        removed = move_state(model, chain, place, nudges, patch)
        losses, _ = loss_and_states(model, many)
        for handle in removed:
            handle.remove()
    return (losses[:WIDTH] - losses[WIDTH:]) / (2 * epsilon)


def move_state(model: Seq2Seq, chain: Chain, place: int, nudges: Tensor, patch: pytest.MonkeyPatch) -> list[Any]:
    """Have the state at a place of a chain be another by the rows of `nudges`, whoever uses it."""
    side = getattr(model, chain.side)
    if not isinstance(getattr(side, "recurrence", None), Recurrence):
        module = side.dropout if chain.layer == 0 else side.layers[chain.layer - 1]

        def moved(module: nn.Module, inputs: object, outputs: Any) -> Any:
            states = (outputs[0] if isinstance(outputs, tuple) else outputs).clone()
            states[:, place] += nudges
            return (states, outputs[1]) if isinstance(outputs, tuple) else states

        return [module.register_forward_hook(moved)]
    stack = side.recurrence.stack
    suffix = f"_l{chain.layer - 1}{'_reverse' if chain.backward else ''}"
    matrix, calls, step = getattr(stack, f"weight_hh{suffix}"), [0], unrolled.recurrent_step
    wanted = len(chain.steps_back) - 1 - place if chain.backward else place

    def moving(kind: str, given: Tensor, state: Any, weights: Tensor, bias: Tensor) -> Any:
        parts, (hidden, *cell) = step(kind, given, state, weights, bias)
        if weights is matrix:
            if calls[0] == wanted:
                hidden = hidden + nudges
            calls[0] += 1
        return parts, (hidden, *cell)

    patch.setattr(unrolled, "recurrent_step", moving)
    return []


@pytest.mark.parametrize("name", MODELS)
def test_equal_to_finite_differences(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = MODELS[name]().double().eval()
    flow = measure_gradients(model, copy_batch(4, rows=1), step=0, jacobians=False)
    assert {chain.side for chain in flow.chains} == {"encoder", "decoder"}
    compared = 0
    for chain in flow.chains:
        for place in (0, 2, 4):
            expected = nudged_losses(model, chain, place, monkeypatch)
            assert chain.gradient[0, place] == pytest.approx(expected.norm().item(), rel=1e-5, abs=1e-10), chain.name
            compared += 1
    assert compared == 3 * {"two layers": 6, "transformer": 6}.get(name, 2)


def test_equal_to_finite_differences_of_the_fast_path() -> None:
    """Decoding is stopped, the state is moved, and torch's own kernel goes on."""
    model = recurrent("lstm", width=WIDTH).double().eval()
    batch = copy_batch(6, rows=1)
    gradient = flow_chain(measure_gradients(model, batch, step=0, jacobians=False).chains, "decoder").gradient[0, 2]

    @torch.no_grad()
    def loss(nudge: Tensor) -> float:
        _, state = model.decoder(batch.inputs[:, :3], model.start(batch))
        state = replace(state, cache={**state.cache, "hidden": state.cache["hidden"] + nudge})
        features, _ = model.decoder(batch.inputs[:, 3:], state)
        return float(nn.functional.cross_entropy(model.output(features[:, -1]), batch.labels[:, -1]))

    moves = 1e-5 * torch.eye(WIDTH, dtype=torch.float64)
    numbers = [(loss(move) - loss(-move)) / 2e-5 for move in moves]
    assert gradient == pytest.approx(np.linalg.norm(numbers), rel=1e-6)


def flow_chain(chains: tuple[Chain, ...], side: str) -> Chain:
    return next(chain for chain in chains if chain.side == side)


def test_the_product_of_jacobians_of_a_tanh_rnn() -> None:
    """∂h_T/∂h_t = Π diag(1 - h_i²) U (Pascanu et al. 2013, eq. 5), multiplied out."""
    model = recurrent("rnn", width=6).double().eval()
    batch = copy_batch(5, rows=2)
    chain = flow_chain(measure_gradients(model, batch, step=0).chains, "decoder")
    with traced(model) as states:
        model(batch)
    hidden = next(each for each in states if each.side == "decoder").tensors
    matrix = model.decoder.recurrence.stack.weight_hh_l0.detach()  # type: ignore[attr-defined]
    assert chain.jacobian.shape == (2, 6)
    for row in range(2):
        product = torch.eye(6, dtype=torch.float64)
        for place in reversed(range(6)):
            assert chain.jacobian[row, place] == pytest.approx(torch.linalg.matrix_norm(product, 2).item(), rel=1e-9)
            product = product @ torch.diag(1 - hidden[place][row].detach() ** 2) @ matrix


def test_spectral_radius_by_hand() -> None:
    recurrence = Recurrence("gru", 2, 2, 1)
    # a quarter turn times 2 has the eigenvalues ±2i; a shear's are 1 and 1, and its norm is the golden ratio; zeros have 0
    gates = [[[0.0, 2.0], [-2.0, 0.0]], [[1.0, 1.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]]
    recurrence.stack.weight_hh_l0.data = torch.tensor(gates).flatten(0, 1)
    found = recurrent_matrices(nn.ModuleDict({"encoder": recurrence}))
    assert [matrix.gate for matrix in found] == ["reset", "update", "candidate"]
    assert [matrix.radius for matrix in found] == pytest.approx([2.0, 1.0, 0.0], abs=1e-6)
    assert [matrix.norm for matrix in found] == pytest.approx([2.0, (1 + 5**0.5) / 2, 0.0])


def with_radius(radius: float, seed: int) -> dict[str, float]:
    """Slopes of a tanh RNN whose inputs are so small that tanh is all but linear."""
    start = {"recurrent": "orthogonal", "scale": 0.001, "recurrent_radius": radius}
    return slopes(flow_of(recurrent("rnn", seed=seed, initialization=start), 20))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_spectral_radius_decides(seed: int) -> None:
    """An orthogonal matrix times 0.5 halves the gradient at each step; as it is, it holds it; times 1.5 it explodes."""
    for slope in with_radius(0.5, seed).values():
        assert slope == pytest.approx(-1.0, abs=0.01)
    for slope in with_radius(1.0, seed).values():
        assert slope == pytest.approx(0.0, abs=0.01)
    exploding = with_radius(1.5, seed)
    assert exploding["encoder"] == pytest.approx(np.log2(1.5), abs=0.01)
    # the target's states have grown so large by then that tanh' is no longer 1
    assert 0.2 < exploding["decoder"] < np.log2(1.5)


def test_a_plain_rnn_forgets_faster_than_gates() -> None:
    """The slope of the RNN is steeper than the LSTM's and the GRU's, on both sides, in 9 of 10 seeds at least."""
    steeper = 0
    for seed in SEEDS:
        rnn, lstm, gru = (
            slopes(flow_of(recurrent(kind, seed=seed, initialization=UNIFORM), 20)) for kind in ("rnn", "lstm", "gru")
        )
        steeper += all(rnn[side] < min(lstm[side], gru[side]) < 0 for side in ("encoder", "decoder"))
    assert steeper >= 9


def test_a_larger_forget_bias_flattens_the_slope() -> None:
    """Jozefowicz et al. 2015: with an open forget gate a cell keeps what it has."""
    for seed in (1, 2, 3):
        found = [
            slopes(flow_of(recurrent("lstm", seed=seed, initialization={**UNIFORM, "forget_bias": bias}), 20))
            for bias in (-1.0, 0.0, 1.0, 3.0)
        ]
        for side in ("encoder", "decoder"):
            steps = [one[side] for one in found]
            assert steps == sorted(steps)
            assert steps[0] < -1.4
            assert steps[-1] > -0.15  # σ(3) = 0.95 a step, 0.93 of a halving in a hundred


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_attention_shortens_the_path(kind: str) -> None:
    """The last loss feels the first source symbol more, and source symbols alike, where the decoder can look at them."""
    for seed in (1, 2, 3):
        without, attending = (
            flow_of(recurrent(kind, seed=seed, attention=attention, initialization=UNIFORM), 20)
            for attention in ("none", "additive")
        )
        assert attending.first_by_last > 100 * without.first_by_last
        assert attending.main("encoder").fade.slope > without.main("encoder").fade.slope / 3  # type: ignore[union-attr]


def test_the_model_stays_as_it_is() -> None:
    model = recurrent("lstm", width=WIDTH, attention="dot").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    first, again = flow_of(model, 4, jacobians=True), flow_of(model, 4, jacobians=True)
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    for one, other in zip(first.chains, again.chains, strict=True):
        np.testing.assert_array_equal(one.gradient, other.gradient)  # without dropout


def test_steps_back_go_through_target_and_source() -> None:
    flow = flow_of(MODELS["two layers"](), 3)
    steps = {chain.name: chain.steps_back.tolist() for chain in flow.chains if chain.layer == 1}
    assert steps == {
        "decoder layer 1": [3, 2, 1, 0],
        "encoder layer 1": [7, 6, 5, 4],
        "encoder layer 1, backward": [4, 5, 6, 7],
    }


def test_what_cannot_be_measured_is_told() -> None:
    dense = {"kind": "feedforward", "hidden_size": 8, "window": 10}
    with pytest.raises(SeqcliError, match="feed-forward"):
        flow_of(built(dense, dense), 4)
    padded = copy_batch(4, rows=2)
    padded = replace(padded, source_mask=padded.source_mask & torch.tensor([[True] * 4 + [False]] * 2))
    with pytest.raises(ValueError, match="one length"):
        measure_gradients(recurrent("rnn"), padded, step=0)


@pytest.mark.parametrize("width", [8, 48])
def test_the_jacobian_has_a_row_for_each_component_of_the_state(width: int) -> None:
    """Also where what the decoder gives is wider, or narrower, than its state: here it gives log-probabilities."""
    layer = {"kind": "gru", "hidden_size": width, "embedding_size": 8}
    model = built(layer, {**layer, "attention": {"kind": "hard_monotonic"}}).eval()
    batch = copy_batch(4, rows=1)
    _, states = loss_and_states(model, batch)
    last = [each for each in states if each.side == "decoder"][-1].last()[0]
    first = states[0].tensors[0]
    rows = [torch.autograd.grad(component, first, retain_graph=True)[0] for component in last]
    whole = torch.stack(rows)
    while whole.ndim > 2:
        whole = whole[:, 0]
    found = measure_gradients(model, batch, step=0).chains[0].jacobian[0, 0]
    assert found == pytest.approx(float(torch.linalg.matrix_norm(whole, ord=2)), rel=1e-4)
