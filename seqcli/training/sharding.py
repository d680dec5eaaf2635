"""Full sharding, on torch's `fully_shard` (Zhao et al. 2023; stage 3 of ZeRO, Rajbhandari et al. 2020).

Of every parameter, its gradient and what the optimizer remembers of it, a process holds a stripe of rows. The whole of a layer exists
while that layer computes. torch keeps a stripe in a `DTensor`, which knows the shape of the whole; here are the ways between the two.
Only training stands on stripes: the optimizer's kernels and the norms see them as plain tensors (`local`), checkpoints and validation
see whole ones.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from seqcli.models.seq2seq import Seq2Seq
from seqcli.models.transformer import DecoderLayer, EncoderLayer


def shard(loss: nn.Module, size: int) -> None:
    """Leave to each of `size` processes its stripe of the parameters of `loss`, in place; all that is computed with them must be
    computed by a call of `loss`.

    Each Transformer layer is gathered when its turn comes, and everything else with the whole.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, fully_shard

    # nothing in this package changes what a layer returns in place
    warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view tensor", UserWarning)
    mesh = init_device_mesh(next(loss.parameters()).device.type, (size,))
    for layer in [module for module in loss.modules() if isinstance(module, (EncoderLayer, DecoderLayer))]:
        if isinstance(layer, DecoderLayer):
            # the memory is projected before the layer's own turn
            fully_shard(layer.cross_attention.key_value, mesh=mesh)
        fully_shard(layer, mesh=mesh)
    fully_shard(loss, mesh=mesh)
    for module in loss.modules():
        if isinstance(module, FSDPModule):
            # gloo adds up, but knows no average
            module.set_force_sum_reduction_for_comms(True)


def local(tensor: Tensor) -> Tensor:
    """This process's stripe of a sharded tensor, in the same memory; any other tensor as it is."""
    with torch.no_grad():
        stripe: Tensor = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return stripe


def whole(tensor: Tensor) -> Tensor:
    """A sharded tensor put together again, in which every process must take part; any other tensor as it is."""
    gathered: Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return gathered


def laid_out(tensor: Tensor, like: Tensor) -> Tensor:
    """A whole tensor, which every process has, sharded as `like` is."""
    if not (hasattr(like, "device_mesh") and hasattr(like, "placements")):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def hollow_copy(model: Seq2Seq) -> Seq2Seq:
    """The model once more, its parameters without content, for `filled`; ties stay ties, and buffers are shared."""
    hollow: dict[int, Tensor] = {id(buffer): buffer for buffer in model.buffers()}
    hollow |= {
        id(parameter): nn.Parameter(parameter.detach().new_empty(0), requires_grad=False)
        for parameter in model.parameters()
    }
    return copy.deepcopy(model, hollow)


@contextmanager
def filled(hollow: Seq2Seq, model: Seq2Seq, keep: bool) -> Iterator[None]:
    """A block in which the hollow copy has the whole weights of the sharded model, where this process is to `keep` them.

    Every process must take part.
    """
    for empty, parameter in zip(hollow.parameters(), model.parameters(), strict=True):
        gathered = whole(parameter.detach())
        if keep:
            empty.data = gathered
    try:
        yield
    finally:
        for parameter in hollow.parameters():
            parameter.data = parameter.data.new_empty(0)
