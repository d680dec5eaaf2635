"""AdamW, Adam and SGD over torch's fused kernels, and Muon.

The kernels are those behind `torch.optim`'s `fused=True`, and the results are equal to the last bit (tested). They are called
directly because importing `torch.optim` optimizers also imports torch's compiler, seconds that every command would pay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import torch
from torch import Tensor, nn

from seqcli.training.sharding import laid_out, local, whole


class Optimizer(Protocol):
    """Turns gradients into steps; its state is named by parameter, so that it can be saved with them."""

    def step(self, learning_rate: float, divisor: Tensor | None = None, skip: Tensor | None = None) -> None:
        """Move every parameter that has a gradient, which is first divided by `divisor`; or nothing at all where `skip` is True.

        Both are scalars on the device, for those who cannot wait for them.
        """
        ...

    def state(self) -> dict[str, Tensor]:
        """All that has to be kept to go on later: parameter name + quantity → tensor, shared, not copied."""
        ...

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up a kept state."""
        ...


@dataclass
class Slot:
    """One parameter and what its optimizer remembers of it."""

    name: str
    parameter: nn.Parameter
    weight_decay: float
    memory: dict[str, Tensor]
    matrices: int = 1
    """How many, one below another, the parameter is."""


def decayed(name: str, parameter: nn.Parameter) -> bool:
    """Whether weight decay pulls at this parameter: matrices, but neither embeddings, norms nor biases."""
    return parameter.ndim > 1 and "embedding" not in name


class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1); `decoupled` makes it AdamW (Loshchilov & Hutter 2019, algorithm 2)."""

    def __init__(
        self,
        parameters: Iterable[tuple[str, nn.Parameter]],
        *,
        betas: tuple[float, float],
        epsilon: float,
        weight_decay: float,
        decoupled: bool,
    ) -> None:
        self.betas, self.epsilon = betas, epsilon
        self.kernel = torch._fused_adamw_ if decoupled else torch._fused_adam_
        self.slots = [
            Slot(
                name,
                parameter,
                weight_decay if decayed(name, parameter) else 0.0,
                {
                    "mean": torch.zeros_like(parameter.data),
                    "square": torch.zeros_like(parameter.data),
                    "step": torch.zeros((), device=parameter.device),
                },
            )
            for name, parameter in parameters
        ]

    def step(self, learning_rate: float, divisor: Tensor | None = None, skip: Tensor | None = None) -> None:
        """One update of all parameters that have a gradient."""
        for weight_decay, slots in _by_decay(self.slots):
            steps = [slot.memory["step"] for slot in slots]
            if skip is None:
                torch._foreach_add_(steps, 1)
            else:
                torch._foreach_add_(steps, (~skip).float())
            self.kernel(
                [local(slot.parameter.data) for slot in slots],
                [_gradient(slot) for slot in slots],
                [local(slot.memory["mean"]) for slot in slots],
                [local(slot.memory["square"]) for slot in slots],
                [],
                steps,
                lr=learning_rate,
                beta1=self.betas[0],
                beta2=self.betas[1],
                weight_decay=weight_decay,
                eps=self.epsilon,
                amsgrad=False,
                maximize=False,
                grad_scale=_as_float(divisor),
                found_inf=_as_float(skip),
            )

    def state(self) -> dict[str, Tensor]:
        """mean, square and step of each parameter."""
        return _state(self.slots)

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up a kept state."""
        _restore(self.slots, state)


class Sgd:
    """Stochastic gradient descent with momentum (Sutskever et al. 2013), Nesterov's or plain."""

    def __init__(
        self,
        parameters: Iterable[tuple[str, nn.Parameter]],
        *,
        momentum: float,
        nesterov: bool,
        weight_decay: float,
    ) -> None:
        self.momentum, self.nesterov = momentum, nesterov
        self.slots = [
            Slot(
                name,
                parameter,
                weight_decay if decayed(name, parameter) else 0.0,
                {"momentum": torch.zeros_like(parameter.data)} if momentum else {},
            )
            for name, parameter in parameters
        ]

    def step(self, learning_rate: float, divisor: Tensor | None = None, skip: Tensor | None = None) -> None:
        """One update of all parameters that have a gradient."""
        for weight_decay, slots in _by_decay(self.slots):
            torch._fused_sgd_(
                [local(slot.parameter.data) for slot in slots],
                [_gradient(slot) for slot in slots],
                [local(slot.memory["momentum"]) for slot in slots] if self.momentum else [],
                weight_decay=weight_decay,
                momentum=self.momentum,
                lr=learning_rate,
                dampening=0.0,
                nesterov=self.nesterov,
                maximize=False,
                # the buffers start as zeros, so the first step needs no case of its own
                is_first_step=False,
                grad_scale=_as_float(divisor),
                found_inf=_as_float(skip),
            )

    def state(self) -> dict[str, Tensor]:
        """The momentum of each parameter."""
        return _state(self.slots)

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up a kept state."""
        _restore(self.slots, state)


class Muon:
    """Momentum whose directions are all equally long (Jordan et al. 2024, "Muon"), for the matrices between embeddings and output;
    AdamW for everything else.

    A step changes a matrix by 0.2 √max(rows, columns) of the learning rate, as much as AdamW's usual step does (Liu et al. 2025, "Muon is
    scalable for LLM training", §2.2), so that one learning rate serves both. A parameter that is several
    `matrices` one below another, whose number is given by its name, has a direction for each of them.
    """

    def __init__(
        self,
        parameters: Iterable[tuple[str, nn.Parameter]],
        *,
        momentum: float,
        betas: tuple[float, float],
        epsilon: float,
        weight_decay: float,
        matrices: Mapping[str, int] | None = None,
    ) -> None:
        self.momentum = momentum
        named = list(parameters)
        self.adam = Adam(
            [(name, parameter) for name, parameter in named if not inner_matrix(name, parameter)],
            betas=betas,
            epsilon=epsilon,
            weight_decay=weight_decay,
            decoupled=True,
        )
        self.slots = [
            Slot(
                name,
                parameter,
                weight_decay,
                {"momentum": torch.zeros_like(parameter.data)},
                (matrices or {}).get(name, 1),
            )
            for name, parameter in named
            if inner_matrix(name, parameter)
        ]

    def step(self, learning_rate: float, divisor: Tensor | None = None, skip: Tensor | None = None) -> None:
        """One update of all parameters that have a gradient."""
        slots = [slot for slot in self.slots if slot.parameter.grad is not None]
        # what takes memory comes before anything is written: a step that does not fit is taken again, and must not count twice
        directions = self._directions(slots, divisor, skip)
        self.adam.step(learning_rate, divisor, skip)
        for slot, direction in zip(slots, directions, strict=True):
            length: float | Tensor = learning_rate * 0.2 * max(_shape(slot)) ** 0.5
            decay: float | Tensor = learning_rate * slot.weight_decay
            if skip is not None:
                length, decay = length * ~skip, decay * ~skip
            local(slot.memory["momentum"]).lerp_(_gradient(slot), 1 - self.momentum)
            local(slot.parameter.data).mul_(1 - decay).sub_(direction.mul_(length))

    def _directions(self, slots: list[Slot], divisor: Tensor | None, skip: Tensor | None) -> list[Tensor]:
        """Where each parameter is to go, this process's stripe of it; matrices of one shape go through the products together."""
        shapes: dict[tuple[int, int], list[Tensor]] = {}
        for slot in slots:
            shapes.setdefault(_shape(slot), []).extend(self._ahead(slot, divisor, skip).chunk(slot.matrices))
        made = {shape: iter(orthogonalised(torch.stack(several))) for shape, several in shapes.items()}
        return [
            local(laid_out(torch.cat([next(made[_shape(slot)]) for _ in range(slot.matrices)]), slot.parameter.data))
            for slot in slots
        ]

    def _ahead(self, slot: Slot, divisor: Tensor | None, skip: Tensor | None) -> Tensor:
        """Nesterov's momentum, the whole of it. The gradient is divided in place; where the step is skipped, it becomes what is remembered,
        which then does not move."""
        gradient, remembered = _gradient(slot), local(slot.memory["momentum"])
        if divisor is not None:
            gradient.div_(divisor)
        if skip is not None:
            # not by a product: what is skipped may be infinite
            gradient.copy_(torch.where(skip, remembered, gradient))
        ahead = torch.empty_like(slot.memory["momentum"])
        local(ahead).copy_(gradient.lerp(remembered.lerp(gradient, 1 - self.momentum), self.momentum))
        return whole(ahead)

    def state(self) -> dict[str, Tensor]:
        """The momentum of the matrices, and what Adam remembers of the rest."""
        return {**self.adam.state(), **_state(self.slots)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up a kept state."""
        self.adam.restore(state)
        _restore(self.slots, state)


LAST_LAYERS = ("output.weight", "decoder.projection.weight")


def inner_matrix(name: str, parameter: nn.Parameter) -> bool:
    """Whether this is a matrix that maps features to features: neither embeddings, nor the last layer, nor a vector."""
    return decayed(name, parameter) and parameter.ndim == 2 and min(parameter.shape) > 1 and name not in LAST_LAYERS


def orthogonalised(matrices: Tensor) -> Tensor:
    """About U·Vᵀ of each U·S·Vᵀ in `matrices (N,A,B)`: five steps of Jordan's quintic Newton–Schulz iteration, after which the singular
    values that are not tiny are between 0.7 and 1.2. Like his, it goes in bfloat16, where the processor has a unit for it."""
    wide = matrices.mT if matrices.size(-2) > matrices.size(-1) else matrices
    # the spectral norm is at most Frobenius's
    wide = wide / wide.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-7)
    if matrices.dtype == torch.float32 and _multiplies_bfloat16(matrices.device):
        wide = wide.bfloat16()
    for _ in range(5):
        gram = wide @ wide.mT
        wide = torch.baddbmm(wide, torch.baddbmm(gram, gram, gram, beta=-4.775, alpha=2.0315), wide, beta=3.4445)
    return (wide.mT if matrices.size(-2) > matrices.size(-1) else wide).to(matrices.dtype)


@cache
def _multiplies_bfloat16(device: torch.device) -> bool:
    """Whether a device has a unit for products in bfloat16. It is asked and not measured: a run that goes on is to go on the same."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_amx_tile_supported())


def _by_decay(slots: list[Slot]) -> list[tuple[float, list[Slot]]]:
    """The slots that have a gradient, grouped by their weight decay: one kernel call a group."""
    groups: dict[float, list[Slot]] = {}
    for slot in slots:
        if slot.parameter.grad is not None:
            groups.setdefault(slot.weight_decay, []).append(slot)
    return list(groups.items())


def _gradient(slot: Slot) -> Tensor:
    assert slot.parameter.grad is not None
    return local(slot.parameter.grad)


def _shape(slot: Slot) -> tuple[int, int]:
    """That of each of its matrices."""
    rows, columns = slot.parameter.shape
    return rows // slot.matrices, columns


def _as_float(scalar: Tensor | None) -> Tensor | None:
    """As the kernels want it."""
    return None if scalar is None else scalar.float()


def _state(slots: list[Slot]) -> dict[str, Tensor]:
    return {f"{slot.name}/{quantity}": tensor for slot in slots for quantity, tensor in slot.memory.items()}


def _restore(slots: list[Slot], state: dict[str, Tensor]) -> None:
    for slot in slots:
        for quantity, tensor in slot.memory.items():
            tensor.copy_(laid_out(state[f"{slot.name}/{quantity}"], tensor))
