"""A Parquet file written anew without some of its rows, and with other texts in some."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from seqcli.errors import DataError


def rewrite_parquet(path: Path, out: Path, removed: set[int], texts: Mapping[int, Mapping[str, str]]) -> None:
    """Write `path` to `out` without the rows `removed`, from 0, and with the `texts` of some others, by column.

    A few thousand rows are in memory at a time. Raises `DataError` for a nested column, whose texts cannot be changed.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file, pq.ParquetWriter(out, file.schema_arrow) as writer:
        start = 0
        for batch in file.iter_batches():
            rows = range(start, start + batch.num_rows)
            changed: dict[str, dict[int, str]] = {}
            for row in rows:
                for column, text in texts.get(row, {}).items():
                    changed.setdefault(column, {})[row - start] = text
            for column, new in changed.items():
                if column not in batch.schema.names:
                    raise DataError(f"{path}: column {column!r} is within another and cannot be mended in a copy")
                place = batch.schema.get_field_index(column)
                cells = [new.get(row, cell) for row, cell in enumerate(batch.column(place).to_pylist())]
                batch = batch.set_column(
                    place, batch.schema.field(place), pa.array(cells, batch.schema.field(place).type)
                )
            kept = pa.array([row - start for row in rows if row not in removed], pa.int64())
            writer.write_batch(batch.take(kept))
            start = rows.stop
