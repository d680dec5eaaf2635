"""Rules of what a recipe reads its examples from. They refuse, and say how to mend it; they never rewrite."""

from __future__ import annotations

import re
from collections.abc import Callable

from seqcli.recipe.data import (
    AlgorithmicData,
    Columns,
    DataSet,
    DiskData,
    FilesData,
    HubData,
    LinesData,
    StoredData,
    TasksData,
    data_sets,
    held_out,
)
from seqcli.recipe.schema import Recipe
from seqcli.recipe.section import as_list
from seqcli.recipe.tree import Broken, dotted, shown


def _hold_out(recipe: Recipe) -> Broken:
    for path, data in data_sets(recipe.data).items():
        if isinstance(data, StoredData) and data.hold_out is not None and not held_out(data):
            where = dotted((*path, "splits") if isinstance(data, (HubData, DiskData)) else path)
            yield (
                (*path, "hold_out"),
                f"validation and test are both named, so there is nothing to set examples aside for; leave hold_out out, or set {where}.validation "
                f"or {where}.test to null",
            )


def _string_lengths(recipe: Recipe) -> Broken:
    for path, data in data_sets(recipe.data).items():
        if isinstance(data, AlgorithmicData) and data.shortest > data.longest:
            yield (*path, "shortest"), f"{data.shortest} is more than longest, {data.longest}"


def _tasks(recipe: Recipe) -> Broken:
    if not isinstance(recipe.data, TasksData):
        return
    if recipe.source.tokenizer is None:
        yield (
            ("data", "kind"),
            "tasks are told apart by a symbol before the text, but source.tokenizer is null; choose an encoder that reads text",
        )
    for path, data in data_sets(recipe.data).items():
        columns = getattr(data, "columns", None)
        if columns is not None and columns.group is not None:
            yield (*path, "columns", "group"), "the tasks are the groups that scores are told apart by; leave it out"


def _numbered_columns(recipe: Recipe) -> Broken:
    for path, data in data_sets(recipe.data).items():
        yield from _numbered_columns_of(path, data)


def _numbered_columns_of(path: tuple[str, ...], data: DataSet) -> Broken:
    if not isinstance(data, (HubData, DiskData, FilesData)):
        return
    columns = {key: value for key in Columns.model_fields if (value := getattr(data.columns, key)) is not None}
    numbered = [key for key, column in columns.items() if any(isinstance(one, int) for one in as_list(column))]
    named = [key for key in columns if key not in numbered]
    if numbered and isinstance(data, FilesData) and _tabular(data):
        if named:
            yield (*path, "columns", named[0]), f"give this column by number too, as {' and '.join(numbered)}"
        return
    for key in numbered:
        yield (
            (*path, "columns", key),
            f"{columns[key]} is a number, which only CSV and TSV files have; give the column's name",
        )


def where_of_tables(recipe: Recipe) -> Broken:
    """Cells of tables are text, whatever they look like."""
    for path, data in data_sets(recipe.data).items():
        if not isinstance(data, FilesData) or not _tabular(data):
            continue
        for column, value in data.where.items():
            if not isinstance(value, str):
                yield (
                    (*path, "where", column),
                    f"{shown(value)} is in no cell of CSV or TSV, where all is text; write it in quotes, as '{shown(value)}'",
                )


def _tabular(data: FilesData) -> bool:
    """Whether all files are CSV or TSV, by their format or else by their names, of which an unknown one may be TSV."""
    if data.format != "auto":
        return data.format in ("csv", "tsv")
    splits = (data.train, data.validation, data.test)
    names = [name for paths in splits if paths is not None for name in as_list(paths)]
    return not any(re.search(r"\.(parquet|jsonl|ndjson|json)(\.gz)?$", name.lower()) for name in names)


def _line_pattern(recipe: Recipe) -> Broken:
    for path, data in data_sets(recipe.data).items():
        if not isinstance(data, LinesData):
            continue
        try:
            groups = re.compile(data.pattern).groupindex
        except (re.error, OverflowError, RecursionError) as error:
            yield (*path, "pattern"), f"is not a regular expression: {error}"
            continue
        absent = [name for name in ("source", "target") if name not in groups]
        if absent:
            yield (*path, "pattern"), f"has no group named {' or '.join(absent)}; write one as (?P<{absent[0]}>...)"


DATA_RULES: tuple[Callable[[Recipe], Broken], ...] = (
    _hold_out,
    _string_lengths,
    _tasks,
    _numbered_columns,
    where_of_tables,
    _line_pattern,
)
