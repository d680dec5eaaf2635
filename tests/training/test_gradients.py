"""The length of gradients, whole and by part, what a record tells of them, and how a long one is shortened."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from models.zoo import ENCODER_KINDS, models_with
from torch import nn
from training.miniature import FOR_EVER, PLAIN, SMALLEST, Run, load, no_validation, plan

from seqcli.training.gradients import clip_gradient, gradient_norms, joint_norm, norms_by_part, part_of


def parameters_with(*gradients: list[float]) -> nn.Module:
    module = nn.ParameterList([nn.Parameter(torch.zeros(len(gradient))) for gradient in gradients])
    for parameter, gradient in zip(module, gradients, strict=True):
        parameter.grad = torch.tensor(gradient)
    return module


def length(module: nn.Module) -> float:
    return float(joint_norm(gradient_norms(module).values()))


def test_a_long_gradient_is_shortened_as_a_whole() -> None:
    # (3, 0) and (0, 4) together have length 5
    module = parameters_with([3.0, 0.0], [0.0, 4.0])
    assert length(module) == pytest.approx(5.0)
    clip_gradient(module, length(module), 1.0)
    together = torch.cat([parameter.grad for parameter in module.parameters() if parameter.grad is not None])
    torch.testing.assert_close(together, torch.tensor([0.6, 0.0, 0.0, 0.8]))


@pytest.mark.parametrize("clip_norm", [None, 5.0, 100.0])
def test_a_short_gradient_stays(clip_norm: float | None) -> None:
    module = parameters_with([3.0, 0.0], [0.0, 4.0])
    clip_gradient(module, length(module), clip_norm)
    assert [parameter.grad.tolist() for parameter in module.parameters()] == [[3.0, 0.0], [0.0, 4.0]]  # type: ignore[union-attr]


def test_parameters_without_a_gradient_do_not_count() -> None:
    module = nn.ParameterList([*parameters_with([3.0, 4.0]).parameters(), nn.Parameter(torch.ones(2))])
    assert length(module) == pytest.approx(5.0)
    clip_gradient(module, 5.0, 1.0)


def test_the_parts_of_all_models() -> None:
    parts: dict[str, set[str]] = {}
    for kind in ENCODER_KINDS:
        for specimen in models_with(kind):
            parts.setdefault(kind, set()).update(part_of(name) for name, _ in specimen.model.named_parameters())
    layers, picture = {"layers.0", "layers.1"}, {"positions", "states"}
    text = {kind: {"embedding", *layers} for kind in ("rnn", "lstm", "gru")}
    text["feedforward"] = {"embedding", "states", *layers}
    text["transformer"] = {"embedding", "positions", "norm", *layers}
    image = {"conv": {"stages", *picture}, "features": {"norm", *picture}}
    image["patch"] = {"stem", "patches", "positions", "norm", *layers}
    alone = {kind: {f"encoder.{part}" for part in names} for kind, names in {**text, **image}.items()}
    both = {
        f"encoder.{side}.{part}"
        for side, kinds in (("image", image), ("text", text))
        for part in set().union(*kinds.values())
    }
    for kind in ENCODER_KINDS:
        found = {part for part in parts[kind] if part.startswith("encoder")}
        assert found == alone.get(kind, both), kind
    assert set().union(*parts.values()) - both - set().union(*alone.values()) == {
        *("decoder.layers.0", "decoder.layers.1", "decoder.embedding", "decoder.positions", "decoder.norm"),
        *("decoder.bridge", "decoder.attention", "decoder.readout", "output", "gate"),
        *("decoder.mix_state", "decoder.mix_place", "decoder.projection"),
    }


def test_the_parts_make_the_whole() -> None:
    norms = {"a.layers.0.x": torch.tensor(3.0), "a.layers.0.y": torch.tensor(4.0), "output.bias": torch.tensor(12.0)}
    parts = norms_by_part(norms)
    assert {part: float(norm) for part, norm in parts.items()} == {"a.layers.0": 5.0, "output": 12.0}
    assert float(joint_norm(parts.values())) == pytest.approx(13.0)


def test_a_record_averages_the_length_of_each_part_before_clipping() -> None:
    still = SMALLEST.model_copy(update={"dropout": 0.0})
    run = Run(still, seed=1)
    objective = replace(PLAIN, norms_by_part=True, clip_norm=1e-3)
    record, _ = run.train(replace(FOR_EVER, steps=3), no_validation(), objective, learning_rate=0.0)
    expected: dict[str, float] = {}
    for rows in plan(0)[:3]:
        run.model.zero_grad()
        (run.model.loss(load(rows)) / load(rows).target_tokens).backward()
        squares: dict[str, float] = {}
        for name, parameter in run.model.named_parameters():
            assert parameter.grad is not None
            squares[part_of(name)] = squares.get(part_of(name), 0.0) + float(parameter.grad.square().sum())
        for part, square in squares.items():
            expected[part] = expected.get(part, 0.0) + math.sqrt(square) / 3
    assert record.gradient_norms == pytest.approx(expected, rel=1e-5)
    assert len(record.gradient_norms) == 8
    assert list(record.gradient_norms)[:2] == ["encoder.embedding", "encoder.layers.0"]


def test_records_tell_of_the_whole_alone_unless_asked() -> None:
    records = Run(SMALLEST, seed=1).train(replace(FOR_EVER, steps=2), no_validation())
    assert records[0].gradient_norms == {}
