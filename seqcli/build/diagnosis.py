"""From the recipe's `data` section to the rows that a diagnosis goes through."""

from __future__ import annotations

from seqcli.build.data import data_columns, open_split
from seqcli.data.corpus import SPLITS, Split
from seqcli.data.files import format_of, pattern_columns
from seqcli.diagnosis.rows import Rows, corpus_rows, parquet_rows, pattern_rows, table_rows, text_rows
from seqcli.recipe import data as recipe
from seqcli.recipe.section import as_list


def open_rows(section: recipe.DataSet) -> dict[str, Rows]:
    """The splits that a data set has, line by line where they are files of lines."""
    found = {split: _open(section, split) for split in SPLITS}
    return {split: rows for split, rows in found.items() if rows is not None}


def _open(section: recipe.DataSet, split: Split) -> Rows | None:
    match section:
        case recipe.FilesData():
            paths = getattr(section, split)
            return None if paths is None else _table(section, as_list(paths))
        case recipe.LinesData():
            paths = getattr(section, split)
            if paths is None:
                return None
            columns = pattern_columns(section.pattern, section.features_separator)
            return pattern_rows(as_list(paths), section.pattern, columns)
        case recipe.TextData():
            sides = getattr(section, split)
            return None if sides is None else text_rows(as_list(sides.source), as_list(sides.target))
        case _:
            corpus = open_split(section, split)
            return None if corpus is None else corpus_rows(corpus)


def _table(section: recipe.FilesData, paths: list[str]) -> Rows:
    chosen = format_of(paths) if section.format == "auto" else section.format
    columns = data_columns(section)
    return parquet_rows(paths, columns) if chosen == "parquet" else table_rows(paths, columns, chosen)
