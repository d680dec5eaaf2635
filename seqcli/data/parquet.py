"""A Parquet file written anew without some of its rows, and with other texts in some."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seqcli.data.columns import Column, replace_text

Change = tuple[Sequence[Column], str, str]
"""The columns of which one holds a text, the text, and what it becomes."""


def rewrite_parquet(path: Path, out: Path, removed: set[int], changes: Mapping[int, Sequence[Change]]) -> set[int]:
    """Write `path` to `out` without the rows `removed`, from 0, and with the `changes` of the texts of some others.

    Returns the rows that were to be changed and are as they were, since a text is no cell of its own in them. A few thousand rows are in
    memory at a time.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    unchanged: set[int] = set()
    with pq.ParquetFile(path) as file, pq.ParquetWriter(out, file.schema_arrow) as writer:
        start = 0
        for batch in file.iter_batches():
            rows = range(start, start + batch.num_rows)
            here = {row: changes[row] for row in rows if changes.get(row)}
            if here:
                batch, left = _changed(batch, {row - start: of_row for row, of_row in here.items()})
                unchanged |= {start + row for row in left}
            kept = pa.array([row - start for row in rows if row not in removed], pa.int64())
            writer.write_batch(batch.take(kept))
            start = rows.stop
    return unchanged


def _changed(batch: Any, changes: Mapping[int, Sequence[Change]]) -> tuple[Any, set[int]]:
    """The batch with other texts, and the rows, from its first, that are as they were."""
    import pyarrow as pa

    names = batch.schema.names
    wanted = {str(column) for of_row in changes.values() for columns, _, _ in of_row for column in columns}
    cells = {
        name: batch.column(place).to_pylist()
        for place, name in enumerate(names)
        if name in wanted or any(column.startswith(f"{name}.") for column in wanted)
    }
    unchanged: set[int] = set()
    touched: set[str] = set()
    for row, of_row in changes.items():
        before = {name: column[row] for name, column in cells.items()}
        # a change that fails takes back those before it
        after = copy.deepcopy(before)
        if not all(replace_text(after, columns, old, new) for columns, old, new in of_row):
            unchanged.add(row)
            continue
        for name in before:
            if after[name] != before[name]:
                cells[name][row] = after[name]
                touched.add(name)
    for name in touched:
        place = names.index(name)
        field = batch.schema.field(place)
        batch = batch.set_column(place, field, pa.array(cells[name], field.type))
    return batch, unchanged
