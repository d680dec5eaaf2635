"""The optimizers ≡ torch's fused ones, to the last bit, over steps with changing learning rates; Muon ≈ torch's, which rounds more.

The only test module that imports an optimizer of torch's: that costs seconds.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from seqcli.build.model import build_model
from seqcli.build.training import build_optimizer
from seqcli.nn.layers import SideBySide
from seqcli.recipe.load import load_recipe
from seqcli.recipe.training import MuonSection
from seqcli.training import optim
from seqcli.training.optim import Adam, Muon, Optimizer, Sgd, decayed, inner_matrix, orthogonalised

DECAY = 0.1
RATES = [0.1, 0.05, 0.2, 0.0, 0.01]


class Small(nn.Module):
    """A parameter of every sort that decay treats differently, and one that gets no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 5)
        self.linear = nn.Linear(5, 3)
        self.norm = nn.LayerNorm(3)
        self.unused = nn.Linear(3, 3)


def twins() -> tuple[Small, Small]:
    torch.manual_seed(0)
    ours, theirs = Small(), Small()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def torch_groups(model: Small) -> list[dict[str, Any]]:
    pulled = [model.linear.weight, model.unused.weight]
    free = [parameter for parameter in model.parameters() if all(parameter is not other for other in pulled)]
    return [{"params": pulled, "weight_decay": DECAY}, {"params": free, "weight_decay": 0.0}]


def assert_same_path(ours: Small, theirs: Small, mine: Optimizer, torchs: torch.optim.Optimizer) -> None:
    start = {name: parameter.detach().clone() for name, parameter in ours.named_parameters()}
    draw = torch.Generator().manual_seed(1)
    for rate in RATES:
        for left, right in zip(ours.parameters(), theirs.parameters(), strict=True):
            left.grad = torch.randn(left.shape, generator=draw)
            right.grad = left.grad.clone()
        for model in (ours, theirs):
            model.unused.weight.grad = model.unused.bias.grad = None
        for group in torchs.param_groups:
            group["lr"] = rate
        mine.step(rate)
        torchs.step()
        for (name, left), right in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            assert torch.equal(left, right), (name, rate)
    moved = {name for name, parameter in ours.named_parameters() if not torch.equal(parameter, start[name])}
    assert moved == {name for name in start if not name.startswith("unused")}


@pytest.mark.parametrize("decoupled", [True, False], ids=["adamw", "adam"])
@pytest.mark.parametrize("weight_decay", [DECAY, 0.0])
def test_adam(decoupled: bool, weight_decay: float) -> None:
    ours, theirs = twins()
    mine = Adam(
        ours.named_parameters(), betas=(0.9, 0.98), epsilon=1e-9, weight_decay=weight_decay, decoupled=decoupled
    )
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    groups = torch_groups(theirs) if weight_decay else [{"params": list(theirs.parameters()), "weight_decay": 0.0}]
    assert_same_path(ours, theirs, mine, kind(groups, betas=(0.9, 0.98), eps=1e-9, fused=True))


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_sgd(momentum: float, nesterov: bool) -> None:
    ours, theirs = twins()
    mine = Sgd(ours.named_parameters(), momentum=momentum, nesterov=nesterov, weight_decay=DECAY)
    groups = torch_groups(theirs)
    assert_same_path(
        ours, theirs, mine, torch.optim.SGD(groups, lr=1.0, momentum=momentum, nesterov=nesterov, fused=True)
    )


def test_decay_pulls_at_matrices_only() -> None:
    pulled = {name for name, parameter in Small().named_parameters() if decayed(name, parameter)}
    assert pulled == {"linear.weight", "unused.weight"}


class Deep(nn.Module):
    """Matrices of several shapes, two of them alike, between embeddings and output."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 8)
        self.inner = nn.ModuleList([nn.Linear(8, 24), nn.Linear(24, 8), nn.Linear(8, 24)])
        self.vector = nn.Linear(8, 1)
        self.output = nn.Linear(8, 7)


def muon(model: nn.Module) -> Muon:
    return Muon(model.named_parameters(), momentum=0.9, betas=(0.9, 0.98), epsilon=1e-9, weight_decay=DECAY)


def fill(model: nn.Module, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=draw)


def test_muon() -> None:
    torch.manual_seed(0)
    ours, theirs = Deep(), Deep()
    theirs.load_state_dict(ours.state_dict())
    inner = [
        parameter for name, parameter in theirs.named_parameters() if name.startswith("inner") and "weight" in name
    ]
    rest = {
        name: parameter for name, parameter in theirs.named_parameters() if all(parameter is not one for one in inner)
    }
    pulled = [parameter for name, parameter in rest.items() if name in {"vector.weight", "output.weight"}]
    free = [parameter for parameter in rest.values() if all(parameter is not one for one in pulled)]
    torchs = [
        torch.optim.Muon(inner, weight_decay=DECAY, momentum=0.9, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(
            [{"params": pulled, "weight_decay": DECAY}, {"params": free, "weight_decay": 0.0}],
            betas=(0.9, 0.98),
            eps=1e-9,
            fused=True,
        ),
    ]
    mine = muon(ours)
    assert [slot.name for slot in mine.slots] == [f"inner.{index}.weight" for index in range(3)]
    for step, rate in enumerate(RATES):
        fill(ours, step)
        fill(theirs, step)
        before = {name: parameter.detach().clone() for name, parameter in ours.named_parameters()}
        mine.step(rate)
        for optimizer in torchs:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        for name, left in ours.named_parameters():
            right = theirs.get_parameter(name)
            if name in {slot.name for slot in mine.slots}:
                # torch iterates in bfloat16, of three digits
                assert (left - right).norm() <= 0.04 * (left - before[name]).norm() + 1e-7, (name, rate)
                right.data.copy_(left.data)
            else:
                assert torch.equal(left, right), (name, rate)


@pytest.mark.parametrize("shape", [(3, 20, 50), (3, 50, 20), (2, 16, 16)])
def test_orthogonalised(shape: tuple[int, int, int]) -> None:
    """The singular vectors stay, and the values are about 1, whatever the length."""
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    found = left.mT @ orthogonalised(matrices) @ right.mT
    values = found.diagonal(dim1=-2, dim2=-1)
    # the smallest of a square matrix are far below the others, and not quite there after five steps
    assert values.max() < 1.25
    assert values.min() > (0.3 if shape[1] == shape[2] else 0.65)
    assert (found - torch.diag_embed(values)).abs().max() < 1e-9
    torch.testing.assert_close(orthogonalised(1e4 * matrices), orthogonalised(matrices))
    assert not orthogonalised(torch.zeros(shape)).any()


@pytest.mark.parametrize("unit", [True, False])
def test_orthogonalised_in_bfloat16_where_the_processor_has_it(unit: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optim, "_multiplies_bfloat16", lambda device: unit)
    matrices = torch.randn(3, 20, 50, generator=torch.Generator().manual_seed(0))
    found, exact = orthogonalised(matrices), orthogonalised(matrices.double())
    assert found.dtype == torch.float32
    apart = float((found - exact).norm() / exact.norm())
    assert (1e-3 < apart < 2e-2) if unit else apart < 1e-5
    # one that is turned with others is turned as by itself
    torch.testing.assert_close(orthogonalised(matrices[:1]), found[:1])


def test_muon_skips_a_step_whole() -> None:
    """Infinite gradients included; and divides as Adam does."""
    torch.manual_seed(0)
    model, twin = Deep(), Deep()
    twin.load_state_dict(model.state_dict())
    using, plain = muon(model), muon(twin)
    for step, skip in enumerate([False, True, False]):
        fill(model, step)
        fill(twin, step)
        for parameter in model.parameters():
            assert parameter.grad is not None
            parameter.grad.mul_(float("inf") if skip else 4.0)
        using.step(0.1, torch.tensor(4.0), torch.tensor(skip))
        if not skip:
            plain.step(0.1)
        for left, right in zip(model.parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(left, right)


def test_muon_writes_nothing_before_all_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that runs out of memory is taken again in pieces."""
    torch.manual_seed(0)
    model, twin = Deep(), Deep()
    twin.load_state_dict(model.state_dict())
    using, plain = muon(model), muon(twin)
    for step in range(2):
        fill(model, step)
        fill(twin, step)
        calls = []

        def failing(matrices: torch.Tensor, calls: list[int] = calls) -> torch.Tensor:
            calls.append(1)
            if len(calls) == 2:
                raise MemoryError
            return orthogonalised(matrices)

        with monkeypatch.context() as patch:
            patch.setattr(optim, "orthogonalised", failing)
            with pytest.raises(MemoryError):
                using.step(0.1)
        fill(model, step)
        using.step(0.1)
        plain.step(0.1)
        for left, right in zip(model.parameters(), twin.parameters(), strict=True):
            assert torch.equal(left, right)
        for name, tensor in using.state().items():
            assert torch.equal(tensor, plain.state()[name]), name


class Fused(nn.Module):
    """Matrices that lie one below another: projections and gates."""

    def __init__(self) -> None:
        super().__init__()
        self.projections = SideBySide(6, 8, 3)
        self.lstm = nn.LSTM(6, 5)
        self.gru = nn.GRU(6, 5)
        self.rnn = nn.RNN(6, 5)


def test_muon_turns_each_of_several_matrices_by_itself() -> None:
    torch.manual_seed(0)
    model = Fused()
    matrices = {
        name: list(parameter.detach().clone().chunk({"p": 3, "l": 4, "g": 3, "r": 1}[name[0]]))
        for name, parameter in model.named_parameters()
        if parameter.ndim == 2
    }
    assert len(matrices) == 7
    twin = nn.ParameterDict(
        {
            f"{name}{place}".replace(".", "_"): one
            for name, several in matrices.items()
            for place, one in enumerate(several)
        }
    )
    section = MuonSection(kind="muon", learning_rate=0.1, weight_decay=DECAY)
    ours, theirs = build_optimizer(section, model), build_optimizer(section, twin)
    assert {name.rpartition("/")[0] for name in ours.state()} == {name for name, _ in model.named_parameters()}
    for step in range(3):
        fill(model, step)
        for name, several in matrices.items():
            gradient = model.get_parameter(name).grad
            assert gradient is not None
            for place, one in enumerate(gradient.chunk(len(several))):
                twin[f"{name}{place}".replace(".", "_")].grad = one.clone()
        ours.step(0.1)
        theirs.step(0.1)
        for name, several in matrices.items():
            joined = torch.cat([twin[f"{name}{place}".replace(".", "_")] for place in range(len(several))])
            torch.testing.assert_close(model.get_parameter(name), joined)


def test_what_muon_moves() -> None:
    """Matrices from features to features: of every kind of model all but embeddings, last layers and vectors."""
    for lines, expected in (
        (
            ["model.tie=none"],
            {"encoder.layers.0.attention.query_key_value.weight", "decoder.layers.0.cross_attention.query.weight"},
        ),
        (
            ["model.encoder.kind=gru", "model.decoder={kind: gru, attention: {kind: additive}}"],
            {"encoder.recurrence.stack.weight_hh_l0"},
        ),
        (
            ["model.encoder.kind=gru", "model.decoder={kind: gru, attention: {kind: hard_monotonic}}"],
            {"decoder.attention.score.project.weight"},
        ),
    ):
        section = load_recipe(
            "reverse", ["model.encoder={kind: transformer}", "model.decoder={kind: transformer}", *lines]
        ).model
        model = build_model(section, 11, 13)
        moved = {name for name, parameter in model.named_parameters() if inner_matrix(name, parameter)}
        assert expected <= moved
        assert not {11, 13, 1} & {size for name in moved for size in model.get_parameter(name).shape}


@pytest.mark.parametrize("momentum", [None, 0.9, "muon"], ids=["adam", "sgd", "muon"])
def test_a_kept_state_goes_on_to_the_last_bit(momentum: float | str | None) -> None:
    def optimizer(model: Small) -> Optimizer:
        if momentum is None:
            return Adam(model.named_parameters(), betas=(0.9, 0.98), epsilon=1e-9, weight_decay=DECAY, decoupled=True)
        if isinstance(momentum, str):
            return muon(model)
        return Sgd(model.named_parameters(), momentum=momentum, nesterov=False, weight_decay=DECAY)

    straight, resumed = twins()
    first, second = optimizer(straight), optimizer(resumed)

    def step(model: Small, using: Optimizer, seed: int) -> None:
        draw = torch.Generator().manual_seed(seed)
        for parameter in model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=draw)
        using.step(0.1)

    step(straight, first, 1)
    kept = {name: tensor.clone() for name, tensor in first.state().items()}
    assert any(tensor.any() for tensor in kept.values())
    resumed.load_state_dict(straight.state_dict())
    second.restore(kept)
    step(straight, first, 2)
    step(resumed, second, 2)
    for left, right in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(left, right)
