"""From a recipe to what training reads: what is said where nothing can be learnt, and where the cache cannot be written."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seqcli.build.data import has_features, open_split, prepare_data
from seqcli.build.diagnosis import open_rows
from seqcli.data.columns import Columns
from seqcli.data.files import pattern_columns, read_files
from seqcli.errors import DataError
from seqcli.recipe.load import load_recipe


def recipe_of(folder: Path, tiny: tuple[str, ...], *overrides: str, rows: str = "aa\tb\n") -> Any:
    (folder / "train.tsv").write_text(rows, encoding="utf-8")
    path = folder / "train.tsv"
    data = f"data={{kind: files, train: {path}, validation: {path}, columns: {{source: 0, target: 1}}}}"
    return load_recipe("copy", (*tiny, data, *overrides))


@pytest.mark.parametrize(
    ("overrides", "rows", "told"),
    [
        (["target.tokenizer={kind: words, min_frequency: 9}"], "a\tb b\na\tc\n",
         "target.tokenizer: none of the words occurs min_frequency = 9 times; lower it to 2 or less"),
        (["source.tokenizer={kind: words}"], "\tb\n", "source.tokenizer: there is no text to learn words from; every one is empty"),
        (["target.tokenizer={kind: bpe}"], "a\t\n", "target.tokenizer: there is no text to learn bpe subwords from; every one is empty"),
        (["source.tokenizer={kind: unigram, vocabulary_size: 8}", "target.tokenizer={kind: shared}"], "abcdefgh\tijkl\n",
         "source.tokenizer: unigram subwords cannot be learnt with vocabulary_size = 8: it takes 17 at least, one for each character"),
        # what is wrong with the data is told as ever
        ([], "a\tb\nc\n", "train.tsv:2: has 1 columns where 2 are needed: c"),
        ([], "", "train.tsv: has no examples to learn from"),
    ],
)  # fmt: skip
def test_nothing_to_learn_from(
    tmp_path: Path, tiny: tuple[str, ...], overrides: list[str], rows: str, told: str
) -> None:
    with pytest.raises(DataError) as raised:
        prepare_data(recipe_of(tmp_path, tiny, *overrides, rows=rows))
    assert str(raised.value).endswith(told)
    assert str(raised.value).startswith(("source.", "target.", str(tmp_path)))


def test_what_replaces_the_cache_is_made_once(
    tmp_path: Path, tiny: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SEQCLI_CACHE", str(tmp_path / "file" / "cache"))
    made: list[str] = []
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with pytest.warns(UserWarning, match="cannot be written") as warned:
        prepare_data(recipe_of(tmp_path, tiny))
    made = [path.name for path in (tmp_path / "temporary").iterdir()]
    assert len(made) == 1
    assert len(warned) == 1


@pytest.mark.parametrize("groups", ["(?P<features>.*)", "((?P<features>a)|b)", r"(?P<features>\w*)"])
def test_tags_of_a_pattern_are_its_group(groups: str) -> None:
    pattern = f"(?P<source>.*) (?P<target>.*) {groups}"
    assert pattern_columns(pattern, "|") == Columns("source", "target", "features", "|")
    # text that looks like a group is none
    escaped = r"(?P<source>.*) \(?P<features>(?P<target>.*)"
    assert pattern_columns(escaped).features is None
    data = load_recipe("copy", [f"data={{kind: lines, train: x, pattern: '{escaped}'}}"]).data
    assert not has_features(data)
    assert list(open_rows(data)) == ["train"]


def test_an_empty_parquet_file(tmp_path: Path) -> None:
    texts = pa.array([], pa.string())
    pq.write_table(pa.table({"source": texts, "target": texts}), tmp_path / "a.parquet")
    assert list(read_files([str(tmp_path / "a.parquet")]).read()) == []


def test_datasets_logs_nothing_beside_the_message(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.parquet").write_bytes(b"a\tb\n")
    logger = logging.getLogger("datasets")
    logger.addHandler(caplog.handler)
    with pytest.raises(DataError, match=r"a\.parquet: cannot be read"):
        list(read_files([str(tmp_path / "a.parquet")]).read())
    logger.removeHandler(caplog.handler)
    assert caplog.records == []


def test_the_splits_of_builtin_data() -> None:
    data = load_recipe("copy", ["data={kind: copy, examples: 4000}"]).data
    sizes = [len(list(corpus.read())) for split in ("train", "test") if (corpus := open_split(data, split))]  # type: ignore[arg-type]
    assert sizes == [4000, 200]
