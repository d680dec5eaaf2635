"""Mixed precision (Micikevicius et al. 2018): matrix products in 16 bits; weights, gradients, norms, softmax, loss and sums in 32.

bf16 has float32's range and needs nothing else. In fp16 small gradients would vanish, so the loss is multiplied by a scale before
the gradients are computed, and they are divided by it before anything is done with them (§3.2 of the paper).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Literal

import torch
from torch import Tensor

from seqcli.errors import RecipeError

TrainingPrecision = Literal["float32", "bf16", "fp16"]

DTYPES: dict[TrainingPrecision, torch.dtype] = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

PATIENCE = 2000
"""After so many steps in a row without an overflow the scale is doubled."""
SMALLEST_SCALE = 1.0
"""A gradient that overflows at this scale is not a number for another reason."""


def computing_in(precision: TrainingPrecision, device: torch.device) -> AbstractContextManager[object]:
    """A block in which matrix products are computed in `precision`."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, DTYPES[precision])


def refuse_missing(precision: TrainingPrecision, device: torch.device, *, lstm: bool) -> None:
    """Raise `RecipeError` if this machine cannot compute in `precision`; `lstm` says whether the model has one."""
    try:
        computing_in(precision, device)
    except RuntimeError as error:
        raise RecipeError(f"training.precision: this machine has no {precision}: {error}") from error
    if lstm and not has_lstm(precision, device):
        raise RecipeError(f"training.precision: torch has no LSTM in {precision} on this processor; choose float32")


@cache
def has_lstm(precision: TrainingPrecision, device: torch.device) -> bool:
    """Whether torch computes an LSTM in `precision` there, found by trying: on CPUs it depends on the processor's instructions."""
    # not a layer: its weights would be drawn from the generator that training draws from
    width = 16
    inputs, state = torch.zeros(1, 1, width, device=device), torch.zeros(1, 1, width, device=device)
    weights = [torch.zeros(4 * width, width, device=device, requires_grad=True) for _ in range(2)]
    try:
        with computing_in(precision, device):
            outputs, _, _ = torch.lstm(inputs, [state, state], weights, False, 1, 0.0, True, False, True)
        torch.autograd.backward(outputs.sum())
    except RuntimeError:
        return False
    return True


class LossScale:
    """What the loss is multiplied by: halved when a gradient has overflowed, doubled when none has for long.

    It lives on the device, like what it is decided by, so that nobody has to wait for it.
    """

    def __init__(self, value: float, steps: int, device: torch.device) -> None:
        self.value = torch.tensor(value, dtype=torch.float32, device=device)
        self.steps = torch.tensor(steps, device=device)

    def adapt(self, overflowed: Tensor) -> None:
        """After a step whose gradient has `overflowed`, or not."""
        smaller = (self.value / 2).clamp(min=SMALLEST_SCALE)
        steps = torch.where(overflowed, 0, self.steps + 1)
        grown = steps == PATIENCE
        self.value = torch.where(overflowed, smaller, torch.where(grown, self.value * 2, self.value))
        self.steps = torch.where(grown, 0, steps)

    def read(self) -> tuple[float, int]:
        """The scale, and the steps since it has changed. Waits for the device."""
        return float(self.value), int(self.steps)
