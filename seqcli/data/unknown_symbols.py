"""Symbols that training never saw, and what becomes of them where they are copied.

A model that has never read the unknown symbol writes anything for it. So in some training pairs one symbol that both sides have is made unknown,
and the model learns to write unknown for unknown. What it then writes stands for the source's unknown symbols, one after the other: the copyable
model of Luong et al. 2015b, "Addressing the rare word problem in neural machine translation", section 3.1, whose unknown words are numbered
in this order. There they are rare words; here any symbol, drawn anew in each epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from seqcli.data.tokenizer import Tokenizer
from seqcli.symbols import EOS, NOT_THERE, UNK
from seqcli.types import Batch


def with_unknown(batch: Batch, same: NDArray[np.int64], rate: float, *, seed: int, epoch: int) -> Batch:
    """The batch with one symbol unknown in a share `rate` of its rows, wherever it stands on either side; a row whose sides have none in
    common stays as it is.

    `same (source V,)` has for each symbol of the source the same one of the target, or `NOT_THERE`. What becomes of a row follows from
    (seed, epoch, row of the corpus) alone, so neither the order of batches nor a pause changes it.
    """
    assert batch.target is not None
    source, target = batch.source.numpy().copy(), batch.target.numpy().copy()
    for row, number in enumerate(batch.index.tolist()):
        random = np.random.Generator(np.random.PCG64([seed, epoch, number]))
        if random.random() >= rate:
            continue
        shared = [i for i in np.unique(source[row]) if i != EOS and same[i] != NOT_THERE and same[i] in target[row]]
        if shared:
            chosen = shared[random.integers(len(shared))]
            source[row, source[row] == chosen] = UNK
            target[row, target[row] == same[chosen]] = UNK
    return replace(batch, source=torch.from_numpy(source), target=torch.from_numpy(target))


def copied(ids: Sequence[int], source: str, source_tokenizer: Tokenizer, target_tokenizer: Tokenizer) -> str:
    """The text that a target's `ids` spell with the unknown symbols of a `source` in place of its own, one after the other; what is more than
    the source has is left out."""
    read = zip(source_tokenizer.encode(source), source_tokenizer.split(source), strict=True)
    given = [symbol for i, symbol in read if i == UNK]
    left = iter(given)
    return target_tokenizer.decode([i for i in ids if i != UNK or next(left, None) is not None], given)
