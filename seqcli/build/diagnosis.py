"""From the recipe's `data` section to the rows that a diagnosis goes through."""

from __future__ import annotations

from seqcli.build.data import data_columns, listed, open_split
from seqcli.data.columns import Columns
from seqcli.data.files import format_of
from seqcli.diagnosis.rows import Rows, corpus_rows, parquet_rows, pattern_rows, table_rows, text_rows
from seqcli.recipe import data as recipe

SPLITS = ("train", "validation", "test")


def open_rows(section: recipe.Data) -> dict[str, Rows]:
    """The splits that a data set has, line by line where they are files of lines."""
    found = {split: _open(section, split) for split in SPLITS}
    return {split: rows for split, rows in found.items() if rows is not None}


def _open(section: recipe.Data, split: str) -> Rows | None:
    match section:
        case recipe.FilesData():
            paths = getattr(section, split)
            return None if paths is None else _table(section, listed(paths))
        case recipe.LinesData():
            paths = getattr(section, split)
            if paths is None:
                return None
            features = "features" if "(?P<features>" in section.pattern else None
            columns = Columns(features=features, separator=section.features_separator)
            return pattern_rows(listed(paths), section.pattern, columns)
        case recipe.TextData():
            sides = getattr(section, split)
            return None if sides is None else text_rows(listed(sides.source), listed(sides.target))
        case _:
            corpus = open_split(section, split)  # type: ignore[arg-type]
            return None if corpus is None else corpus_rows(corpus)


def _table(section: recipe.FilesData, paths: list[str]) -> Rows:
    chosen = format_of(paths) if section.format == "auto" else section.format
    columns = data_columns(section)
    return parquet_rows(paths, columns) if chosen == "parquet" else table_rows(paths, columns, chosen)
