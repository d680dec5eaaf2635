"""Columns of texts and of ids in an Arrow file: written a chunk at a time, read as views on the mapped file.

The arrays are made of plain buffers, because pyarrow's own conversions import pandas, which takes a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

IDS = pa.list_(pa.int32())
TEXTS = pa.list_(pa.string())


def text_column(texts: Sequence[str]) -> Any:
    """An Arrow array of texts."""
    data = [text.encode() for text in texts]
    return pa.Array.from_buffers(pa.string(), len(data), [None, _offsets(map(len, data)), pa.py_buffer(b"".join(data))])


def ids_column(rows: Sequence[Sequence[int]]) -> Any:
    """An Arrow array of lists of ids."""
    ids = np.fromiter(chain.from_iterable(rows), dtype=np.int32)
    values = pa.Array.from_buffers(pa.int32(), len(ids), [None, pa.py_buffer(ids)])
    return pa.Array.from_buffers(IDS, len(rows), [None, _offsets(map(len, rows))], children=[values])


def texts_column(rows: Sequence[Sequence[str]]) -> Any:
    """An Arrow array of lists of texts."""
    values = text_column(list(chain.from_iterable(rows)))
    return pa.Array.from_buffers(TEXTS, len(rows), [None, _offsets(map(len, rows))], children=[values])


def numbers_column(numbers: Sequence[int]) -> Any:
    """An Arrow array of whole numbers."""
    values = np.asarray(numbers, dtype=np.int64)
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(values)])


def read_numbers(column: Any) -> NDArray[np.int64]:
    """The whole numbers of a column."""
    return np.concatenate([_numbers(chunk, np.int64) for chunk in column.chunks])


class IdLists:
    """A column of lists of ids, by row; what is asked for is a view on the file's memory, not a copy."""

    def __init__(self, column: Any) -> None:
        self._offsets = [_numbers(chunk.offsets) for chunk in column.chunks]
        self._values = [_numbers(chunk.values) for chunk in column.chunks]
        self._ends = np.cumsum([len(offsets) - 1 for offsets in self._offsets])
        self.lengths: NDArray[np.int32] = np.concatenate([np.diff(offsets) for offsets in self._offsets])

    def __getitem__(self, row: int | np.int64) -> NDArray[np.int32]:
        chunk = int(np.searchsorted(self._ends, row, side="right"))
        offsets = self._offsets[chunk]
        place = row - (self._ends[chunk] - (len(offsets) - 1))
        return self._values[chunk][offsets[place] : offsets[place + 1]]


def _offsets(lengths: Iterable[int]) -> Any:
    ends = np.cumsum(np.fromiter(chain([0], lengths), dtype=np.int32), dtype=np.int32)
    return pa.py_buffer(ends)


def _numbers(array: Any, dtype: type[Any] = np.int32) -> NDArray[Any]:
    """The numbers of an Arrow array where they lie."""
    numbers = np.frombuffer(array.buffers()[1], dtype=dtype)
    return numbers[array.offset : array.offset + len(array)]
