"""The shortlist of a run: learnt from its training data when it is first asked for, and kept in the run directory."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from seqcli.build.data import encode_split
from seqcli.data.tokenizer import Tokenizer
from seqcli.data.translation_table import translation_table
from seqcli.errors import RecipeError, StorageError
from seqcli.recipe.schema import Recipe
from seqcli.recipe.search import ShortlistSection
from seqcli.search.shortlist import Shortlist
from seqcli.storage import write_file

FILE = "shortlist.npz"


def load_shortlist(
    folder: Path, recipe: Recipe, wanted: ShortlistSection, source_tokenizer: Tokenizer, target_tokenizer: Tokenizer
) -> Shortlist:
    """The shortlist of the run in `folder`: from its file, if it has one with the numbers that are wanted, or else from the recipe's training
    data, and then also in its file, if that can be written. Raises `DataError` where the data cannot be read."""
    path = folder / FILE
    best, usual = _kept(path, wanted) or _learnt(path, recipe, wanted, source_tokenizer, target_tokenizer)
    return Shortlist(
        torch.from_numpy(best),
        torch.from_numpy(usual),
        target_tokenizer.size,
        shared=source_tokenizer.digest == target_tokenizer.digest,
    )


def _kept(path: Path, wanted: ShortlistSection) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    try:
        with np.load(path) as arrays:
            numbers, best, usual = (arrays[name].astype(np.int64) for name in ("wanted", "best", "usual"))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
    return (best, usual) if numbers.tolist() == [wanted.best, wanted.usual] else None


def _learnt(
    path: Path,
    recipe: Recipe,
    wanted: ShortlistSection,
    source_tokenizer: Tokenizer,
    target_tokenizer: Tokenizer,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    corpus = encode_split(recipe, "train", source_tokenizer, target_tokenizer)
    if corpus is None:
        raise RecipeError("search.shortlist is learnt from the training data, and the recipe names none")
    best = translation_table(corpus.pairs(), source_tokenizer.size, target_tokenizer.size, wanted.best)
    counts = np.zeros(target_tokenizer.size, np.int64)
    # sentence by sentence: all of them together may not fit into memory
    for _, targets in corpus.pairs():
        np.add.at(counts, targets, 1)
    usual = np.argsort(-counts, kind="stable")[: wanted.usual]
    file = io.BytesIO()
    np.savez_compressed(
        file, wanted=[wanted.best, wanted.usual], best=best.astype(np.int32), usual=usual.astype(np.int32)
    )
    # a run that cannot be written to can still be translated with
    with suppress(StorageError):
        write_file(path, file.getvalue())
    return best, usual
