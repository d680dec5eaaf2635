"""The output layer as a loss fused with it needs it: logits a chunk of rows at a time, and the gradients that come back."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK_CELLS = 2**21
"""How many logits a chunk may have: 8 MB in float32, which a shared cache holds and which still makes products large enough to be
fast."""
GPU_CHUNK_CELLS = 2**25
"""The same on a GPU, which small products would leave idle: 128 MB."""
MULTIPLE = 64
"""What the vocabulary is filled up to a multiple of for products in 16 bits: tensor cores take nothing narrower well."""


def chunk_cells(device: torch.device) -> int:
    """How many logits may exist at a time on a device."""
    return CHUNK_CELLS if device.type == "cpu" else GPU_CHUNK_CELLS


class Projection:
    """x·Wᵀ+b of `rows (N,D)`, `weight (V,D)`, `bias (V)` or None, and the gradients of those that are `wanted`.

    Logits come out, and their gradients go in, in float32 at least. Under autocast the products are in its dtype, over rows of
    the weight filled up to a multiple of `MULTIPLE`; nobody outside sees these, and gradients add up in the weight's own dtype.
    """

    def __init__(self, rows: Tensor, weight: Tensor, bias: Tensor | None, wanted: tuple[bool, bool, bool]) -> None:
        self.precise = torch.promote_types(weight.dtype, torch.float32)
        self.vocabulary, self.filling = weight.shape[0], 0
        self.rows, self.weight, self.bias = rows, weight, bias
        self.grad_rows = torch.empty_like(rows) if wanted[0] else None
        self.grad_weight = torch.zeros_like(weight) if wanted[1] else None
        self.grad_bias = torch.zeros_like(bias) if wanted[2] and bias is not None else None
        if torch.is_autocast_enabled(rows.device.type):
            self._lower(torch.get_autocast_dtype(rows.device.type))
        self._room: Tensor | None = None

    def _lower(self, dtype: torch.dtype) -> None:
        self.filling = -self.vocabulary % MULTIPLE
        self.rows = self.rows.to(dtype)
        self.weight = F.pad(self.weight.to(dtype), (0, 0, 0, self.filling))
        self.bias = None if self.bias is None else F.pad(self.bias.to(dtype), (0, self.filling))

    def chunks(self, rows_together: int = 1) -> list[slice]:
        """All rows in chunks, none of which parts rows that belong `rows_together`."""
        size = rows_together * max(1, chunk_cells(self.rows.device) // (rows_together * self.vocabulary))
        return [slice(start, start + size) for start in range(0, len(self.rows), size)]

    def logits(self, chunk: slice) -> Tensor:
        """The scores (n,V) of a chunk of rows, which lie where those of the chunk before have lain."""
        rows = self.rows[chunk]
        if self._room is None:
            self._room = rows.new_empty(len(rows), len(self.weight))
        # room that is in the cache is worth more than a product that adds the bias: it would first be copied to every row
        logits = torch.mm(rows, self.weight.T, out=self._room[: len(rows)])
        if self.bias is not None:
            logits += self.bias
        return logits[:, : self.vocabulary].to(self.precise)

    def add(self, chunk: slice, gradient: Tensor) -> None:
        """Take in the gradient (n,V) by the logits of a chunk of rows."""
        if self.grad_bias is not None:
            self.grad_bias += gradient.sum(dim=0)
        gradient = gradient.to(self.weight.dtype)
        if self.filling:
            gradient = F.pad(gradient, (0, self.filling))
        if self.grad_rows is not None:
            if self.grad_rows.dtype == gradient.dtype:
                torch.mm(gradient, self.weight, out=self.grad_rows[chunk])
            else:
                self.grad_rows[chunk] = gradient @ self.weight
        if self.grad_weight is not None:
            if self.grad_weight.dtype == gradient.dtype:
                self.grad_weight.addmm_(gradient.T, self.rows[chunk])
            else:
                self.grad_weight += (gradient.T @ self.rows[chunk])[: self.vocabulary]

    @property
    def gradients(self) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Those of rows, weight and bias, once all chunks are in."""
        return self.grad_rows, self.grad_weight, self.grad_bias


def scaled(gradients: tuple[Tensor | None, ...], grad_output: Tensor) -> tuple[Tensor | None, ...]:
    """The gradients that were computed in the forward pass, times what comes back through the loss."""
    return tuple(None if gradient is None else gradient * grad_output.to(gradient.dtype) for gradient in gradients)
