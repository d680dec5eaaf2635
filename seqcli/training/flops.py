"""How much arithmetic a training step is: the floating-point operations of its matrix products.

Model FLOPs as in the appendix B of Chowdhery et al. 2022 (PaLM): those that the model needs, whatever else an implementation
computes, over the rate at which the machine can multiply matrices, are the share of the machine that is put to use (MFU).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from seqcli.models.seq2seq import Seq2Seq
from seqcli.training.step import Objective, losses
from seqcli.training.team import Team
from seqcli.types import Batch

MATRIX_SIZE = {"cpu": 2048, "cuda": 8192}
ROUNDS = 5


def training_flops(model: Seq2Seq, batches: Iterable[Batch], objective: Objective) -> int:
    """The FLOPs of forward and backward pass over all `batches`, a multiplication and an addition being two.

    Give batches without padding, since what is multiplied by padding counts too.
    """
    total = 0
    model.train()
    for batch in batches:
        with FlopCounterMode(display=False, custom_mapping=KERNELS) as counter:
            loss, _ = losses(Team().replica(model), batch, objective)
            torch.autograd.backward(loss)
        model.zero_grad(set_to_none=True)
        total += counter.get_total_flops()
    return total


def matrix_rate(device: torch.device, dtype: torch.dtype = torch.float32) -> float:
    """The FLOPs a second of a large matrix product on this device now; the best of some rounds, since others can only slow it down."""
    size = MATRIX_SIZE.get(device.type, MATRIX_SIZE["cpu"])
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    fastest = float("inf")
    torch.mm(left, right)
    for _ in range(ROUNDS):
        wait_for(device)
        began = time.perf_counter()
        torch.mm(left, right)
        wait_for(device)
        fastest = min(fastest, time.perf_counter() - began)
    return 2 * size**3 / fastest


def wait_for(device: torch.device) -> None:
    """Return when the device has done all it was told to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _product(total: Any, left: Any, right: Any, **_: Any) -> int:
    """total (N,M) plus left (N,K) times right (K,M)."""
    return int(2 * left[0] * left[1] * right[1])


def _lstm_layer(inputs: Any, input_weight: Any, hidden_weight: Any, *_: Any, **__: Any) -> int:
    """Shapes of one layer and direction over (T,B,E), weights (4D,E) and (4D,D)."""
    steps, batch, _width = inputs
    return int(2 * steps * batch * (input_weight[0] * input_weight[1] + hidden_weight[0] * hidden_weight[1]))


def _recurrent_stack(inputs: Any, weights: Any, *_: Any, **__: Any) -> int:
    """Shapes of the inputs (T,B,E), or packed (N,E), and of all weights and biases: each symbol meets each matrix once."""
    matrices = sum(math.prod(weight) for weight in weights if len(weight) == 2)
    return int(2 * math.prod(inputs[:-1]) * matrices)


def _attention(query: Any, keys: Any, values: Any, *_: Any, **__: Any) -> int:
    """Queries (B,H,T,d), keys and values (B,H,S,d): two products."""
    batch, heads, length, width = query
    return int(2 * batch * heads * length * keys[2] * (width + values[3]))


def _twice(forward: Any, skipped: int) -> Any:
    """A backward pass, with a gradient for each factor of each product; its first `skipped` arguments are not the forward pass's."""
    return lambda *shapes, **named: 2 * forward(*shapes[skipped:], **named)


KERNELS = {
    torch.ops.aten.addmm_: _product,
    torch.ops.aten.mkldnn_rnn_layer: _lstm_layer,
    torch.ops.aten.mkldnn_rnn_layer_backward: _twice(_lstm_layer, 0),
    torch.ops.aten._cudnn_rnn: _recurrent_stack,
    torch.ops.aten._cudnn_rnn_backward: _twice(_recurrent_stack, 0),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _twice(_attention, 1),
}
"""The kernels that torch's counter does not know."""
