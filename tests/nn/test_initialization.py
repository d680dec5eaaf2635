"""What weights are before the first step: the variance each kind promises, and who is filled with what."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from seqcli.nn.initialization import fill, initialize
from seqcli.nn.layers import SideBySide
from seqcli.nn.recurrence import CellKind, Recurrence
from seqcli.recipe.model import Initialization, Initializer

ROWS, COLUMNS = 400, 200  # fan out, fan in

# standard deviation, largest value (None: no bound), with a gain or scale s
CLAIMS = {
    "xavier_uniform": lambda s: (s * math.sqrt(2 / (ROWS + COLUMNS)), s * math.sqrt(6 / (ROWS + COLUMNS))),
    "xavier_normal": lambda s: (s * math.sqrt(2 / (ROWS + COLUMNS)), None),
    "he_uniform": lambda s: (s * math.sqrt(2 / COLUMNS), s * math.sqrt(6 / COLUMNS)),
    "he_normal": lambda s: (s * math.sqrt(2 / COLUMNS), None),
    "orthogonal": lambda s: (s / math.sqrt(ROWS), None),  # columns of length s over 400 rows
    "normal": lambda s: (s, None),
    "uniform": lambda s: (s / math.sqrt(3), s),
    "zeros": lambda s: (0.0, 0.0),
}
WITHOUT_SCALE = {"normal": 1 / math.sqrt(COLUMNS), "uniform": 0.1}


def filled(kind: str, scale: float | None, rows: int = ROWS, columns: int = COLUMNS) -> Tensor:
    torch.manual_seed(1)
    weight = torch.full((rows, columns), 9.0)
    fill(weight, kind, scale)
    return weight


def test_every_kind_of_the_schema_has_a_claim() -> None:
    assert set(get_args(Initializer)) == set(CLAIMS)
    assert len(CLAIMS) == 8


@pytest.mark.parametrize("scale", [None, 0.5, 2.0])
@pytest.mark.parametrize("kind", get_args(Initializer))
def test_variance(kind: str, scale: float | None) -> None:
    weight = filled(kind, scale)
    deviation, bound = CLAIMS[kind](WITHOUT_SCALE.get(kind, 1.0) if scale is None else scale)
    assert weight.mean().abs() <= 5 * deviation / math.sqrt(weight.numel())
    assert weight.std(correction=0).item() == pytest.approx(deviation, rel=0.02)
    if bound is not None:
        assert bound * 0.99 <= weight.abs().max() <= bound * (1 + 1e-6)


def test_orthogonal_columns() -> None:
    tall, wide = filled("orthogonal", 2.0, 6, 4), filled("orthogonal", 2.0, 4, 6)
    torch.testing.assert_close(tall.T @ tall, 4 * torch.eye(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(wide @ wide.T, 4 * torch.eye(4), atol=1e-5, rtol=0)


def test_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(ValueError, match="glorot"):
        filled("glorot", None)


def start(module: nn.Module, **changes: object) -> nn.Module:
    """Fill a module as the schema's defaults say, but for the changes."""
    torch.manual_seed(1)
    defaults = Initialization()
    keys = {name: getattr(defaults, name) for name in Initialization.model_fields}
    initialize(module, **{**keys, **changes})
    return module


@pytest.mark.parametrize("kind", get_args(CellKind))
@pytest.mark.parametrize("bidirectional", [False, True])
def test_gates_are_filled_one_by_one(kind: CellKind, bidirectional: bool) -> None:
    hidden, gates = 8, {"rnn": 1, "gru": 3, "lstm": 4}[kind]
    recurrence = Recurrence(kind, 8, hidden, 2, bidirectional=bidirectional)
    start(recurrence, weights="orthogonal", recurrent="orthogonal", scale=3.0)
    seen = 0
    for name, parameter in recurrence.stack.named_parameters():
        if not name.startswith("weight"):
            continue
        assert parameter.shape[0] == gates * hidden
        for gate in parameter.detach().split(hidden):
            torch.testing.assert_close(gate @ gate.T, 9 * torch.eye(hidden), atol=1e-4, rtol=0)
            seen += 1
    assert seen == gates * 2 * 2 * (1 + bidirectional)  # two matrices, two layers


def test_input_and_state_matrices_follow_their_own_keys() -> None:
    stack = start(Recurrence("lstm", 6, 8, 2), weights="uniform", recurrent="zeros", scale=0.25)
    for name, parameter in stack.named_parameters():
        if "weight_hh" in name:
            assert not parameter.any()
        elif "weight_ih" in name:
            assert 0.2 < parameter.abs().max() <= 0.25


@pytest.mark.parametrize("recurrent", ["orthogonal", "normal", "uniform"])
def test_state_matrices_are_scaled_to_a_radius(recurrent: str) -> None:
    stack = start(Recurrence("gru", 6, 8, 2), recurrent=recurrent, recurrent_radius=1.5)
    plain = start(Recurrence("gru", 6, 8, 2), recurrent=recurrent)
    seen = 0
    for (name, parameter), before in zip(stack.named_parameters(), plain.parameters(), strict=True):
        if "weight_hh" not in name:
            assert torch.equal(parameter, before)
            continue
        for gate, as_drawn in zip(parameter.detach().split(8), before.detach().split(8), strict=True):
            assert torch.linalg.eigvals(gate).abs().max().item() == pytest.approx(1.5, rel=1e-5)
            factor = gate[0, 0] / as_drawn[0, 0]
            torch.testing.assert_close(gate, factor * as_drawn)
            seen += 1
    assert seen == 2 * 3


def test_zeros_have_no_other_radius() -> None:
    with pytest.raises(ValueError, match="spectral radius"):
        start(Recurrence("rnn", 4, 3, 1), recurrent="zeros", recurrent_radius=1.0)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_forget_gates_start_open(bidirectional: bool) -> None:
    hidden = 3
    recurrence = Recurrence("lstm", 4, hidden, 2, bidirectional=bidirectional)
    start(recurrence, weights="zeros", recurrent="zeros", forget_bias=1.5)
    parameters = dict(recurrence.stack.named_parameters())
    layers = [name.removeprefix("bias_ih") for name in parameters if name.startswith("bias_ih")]
    assert len(layers) == 2 * (1 + bidirectional)
    for layer in layers:
        together = parameters[f"bias_ih{layer}"] + parameters[f"bias_hh{layer}"]
        assert together.tolist() == [0.0] * hidden + [1.5] * hidden + [0.0] * 2 * hidden
    # what that means: with nothing else to go by, a cell keeps σ(1.5) of itself
    state = {"hidden": torch.zeros(1, 2, hidden), "cell": torch.ones(1, 2, hidden)}
    if not bidirectional:
        _, after = recurrence(torch.zeros(1, 1, 4), state)
        torch.testing.assert_close(after["cell"], torch.full((1, 2, hidden), 1.5).sigmoid())


@pytest.mark.parametrize("kind", ["rnn", "gru"])
def test_other_cells_have_no_forget_gate(kind: CellKind) -> None:
    recurrence = start(Recurrence(kind, 4, 3, 1), forget_bias=1.5)
    biases = [parameter for name, parameter in recurrence.named_parameters() if "bias" in name]
    assert len(biases) == 2
    assert not any(bias.any() for bias in biases)


def test_fused_projections_are_filled_part_by_part() -> None:
    module = start(SideBySide(16, 16, 3), weights="orthogonal")
    assert isinstance(module, SideBySide)
    for part in module.weight.detach().chunk(3):
        torch.testing.assert_close(part @ part.T, torch.eye(16), atol=1e-5, rtol=0)


def test_every_other_parameter_has_its_start() -> None:
    module = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.Embedding(50, 16))
    for parameter in module.parameters():
        parameter.data.fill_(7.0)
    start(module)
    linear, norm, embedding = module
    assert linear.bias.tolist() == [0.0] * 3
    assert norm.weight.tolist() == [1.0] * 3
    assert norm.bias.tolist() == [0.0] * 3
    assert linear.weight.abs().max() <= math.sqrt(6 / 7)  # xavier
    assert embedding.weight.std().item() == pytest.approx(1 / 4, rel=0.1)  # 1/√width


def test_weights_that_are_equal_stay_equal() -> None:
    """Why zeros are only there to be shown: the units of a layer get the same gradient, step after step."""

    def after_steps(constant: bool) -> Tensor:
        module = start(nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)), weights="xavier_uniform")
        if constant:
            for parameter in module.parameters():
                parameter.data.fill_(0.3)
        inputs, answers = torch.randn(8, 4), torch.randint(2, (8,))
        for _ in range(5):
            module.zero_grad()
            nn.functional.cross_entropy(module(inputs) * torch.tensor([1.0, -1.0]), answers).backward()
            for parameter in module.parameters():
                assert parameter.grad is not None
                parameter.data -= 0.5 * parameter.grad
        first: Tensor = module[0].weight.detach()
        return first

    alike, different = after_steps(True), after_steps(False)
    assert alike[0].std() > 0.01  # it has learnt something
    torch.testing.assert_close(alike, alike[:1].expand(3, -1))
    assert (different[0] - different[1]).abs().max() > 0.1


def test_zeros_never_leave_zero() -> None:
    module = start(nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)), weights="zeros")
    nn.functional.cross_entropy(module(torch.randn(8, 4)), torch.randint(2, (8,))).backward()
    moved = {name for name, parameter in module.named_parameters() if parameter.grad.any()}
    assert moved == {"2.bias"}


def test_the_seed_decides() -> None:
    first, second = (start(Recurrence("gru", 4, 3, 1)).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
