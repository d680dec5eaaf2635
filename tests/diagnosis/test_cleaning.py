"""A cleaned copy: nothing is changed in it but what has a fault, nothing is lost, and no fault is left."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from diagnosis.test_planted import sentences

from seqcli.data.columns import Columns
from seqcli.diagnosis.cleaning import Cleaned, clean
from seqcli.diagnosis.encoding import mended
from seqcli.diagnosis.examine import FEWEST, examine
from seqcli.diagnosis.rows import Row, Rows, parquet_rows, table_rows, text_rows
from seqcli.errors import DataError, RecipeError

PAIRS = [(source.decode(), target.decode()) for source, target in sentences(60, 11)]


def cleaned(rows: Rows, folder: Path) -> tuple[Cleaned, list[dict[str, Any]]]:
    (result,) = clean({"train": rows}, examine({"train": rows}), folder)
    return result, [json.loads(line) for line in (folder / "changes.jsonl").read_text(encoding="utf-8").splitlines()]


def in_jsonl(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "pairs.jsonl"
    path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
    return path


def several(folder: Path) -> list[dict[str, Any]]:
    """Rows with lists of targets, some of which have faults."""
    rows: list[dict[str, Any]] = [{"source": source, "target": [target, f"{target} Yes."]} for source, target in PAIRS]
    rows[3]["target"][0] = "A dog &amp; a man on the beach"
    rows[5]["source"] = "Ein Hund &amp; ein Mann am Strand"
    return rows


def test_a_list_of_texts_stays_as_it_is_and_is_counted(tmp_path: Path) -> None:
    rows = several(tmp_path)
    path = in_jsonl(tmp_path, rows)
    result, changes = cleaned(table_rows([str(path)], Columns(), "jsonl"), tmp_path / "clean")
    assert (result.kept, dict(result.mended), dict(result.unmended)) == (60, {"entity": 1}, {"entity": 1})
    rows[5]["source"] = "Ein Hund & ein Mann am Strand"
    assert [json.loads(line) for line in (tmp_path / "clean/pairs.jsonl").read_text().splitlines()] == rows
    assert [change.get("unmended") for change in changes] == [["entity"], None]


def test_lists_and_nested_columns_of_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = several(tmp_path)
    for row in rows:
        row["text"] = {"source": row.pop("source"), "n": 7}
        row["first"] = None
    rows[7] |= {"target": None, "first": "A bird &amp; a man on the beach"}
    columns = Columns("text.source", ("target", "first"))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "pairs.parquet")
    result, changes = cleaned(parquet_rows([str(tmp_path / "pairs.parquet")], columns), tmp_path / "clean")
    assert (result.kept, dict(result.mended), dict(result.unmended)) == (60, {"entity": 2}, {"entity": 1})
    rows[5]["text"]["source"] = "Ein Hund & ein Mann am Strand"
    rows[7]["first"] = "A bird & a man on the beach"
    assert pq.read_table(tmp_path / "clean/pairs.parquet").to_pylist() == rows
    assert [(change["line"], "unmended" in change) for change in changes] == [(4, True), (6, False), (8, False)]


@pytest.mark.parametrize(
    ("source", "becomes"),
    [
        ("Ein Hund &amp;amp;amp; ein Mann am Strand", "Ein Hund & ein Mann am Strand"),
        ("Ein Hund &lt;b&gt;&amp;amp; ein Mann&lt;/b&gt; am Strand", "Ein Hund & ein Mann am Strand"),
        ("Ein &am\x07p; Mann am Strand", "Ein & Mann am Strand"),
        ("Ein Mann &amp;Ã¤hnlich am Strand", "Ein Mann &ähnlich am Strand"),
        ("Ein Cafe&#769; und ein Mann am Strand", "Ein Café und ein Mann am Strand"),
        # nothing is left of it
        ("<br>", None),
        ("&nbsp;&nbsp;", None),
        ("\u200b", None),
        ("<b>-</b>", None),
        ("ein gr&#xFFFD;ner Hund", None),
    ],
)
def test_a_cleaned_copy_has_no_faults(tmp_path: Path, source: str, becomes: str | None) -> None:
    pairs = list(PAIRS)
    pairs[9] = (source, "A dog & a man on the beach")
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{one}\t{other}\n" for one, other in pairs), encoding="utf-8")
    result, changes = cleaned(table_rows([str(path)], Columns(0, 1), "tsv"), tmp_path / "clean")
    again = table_rows([str(tmp_path / "clean/pairs.tsv")], Columns(0, 1), "tsv")
    assert examine({"train": again}).sound
    assert result.kept == len(list(again)) == (59 if becomes is None else 60)
    (change,) = changes
    assert ("removed" in change) == (becomes is None)
    assert becomes is None or change["source"] == [source, becomes]


def test_only_what_has_a_fault_is_changed(tmp_path: Path) -> None:
    (tmp_path / "a.de").write_bytes(b"Ein  Hund\tim Wald\r\nEin <b>Hund</b> am Strand\r\n")
    (tmp_path / "a.en").write_bytes(b"A dog &amp; a man R&ampD\r\nA  dog  on the\tbeach &copy 2020\r\n")
    result, _ = cleaned(text_rows([str(tmp_path / "a.de")], [str(tmp_path / "a.en")]), tmp_path / "clean")
    assert dict(result.mended) == {"entity": 1, "markup": 1}
    assert (tmp_path / "clean/a.de").read_bytes() == b"Ein  Hund\tim Wald\r\nEin Hund am Strand\r\n"
    assert (tmp_path / "clean/a.en").read_bytes() == b"A dog & a man R&ampD\r\nA  dog  on the\tbeach &copy 2020\r\n"
    assert mended("a  b", {"markup", "entity"}) == "a  b"


@pytest.mark.parametrize("trouble", ["unreadable", "bytes", "empty"])
def test_what_cannot_be_read_is_never_usual(trouble: str) -> None:
    told = None if trouble == "empty" else (trouble, "")
    broken = [Row("x", line, "", f"{line} dogs", trouble=told) for line in range(FEWEST // 2)]
    rows = [*(Row("x", line, *pair) for line, pair in enumerate(PAIRS, start=1)), *broken]
    found = examine({"train": rows})
    assert not found.sound
    assert len(found.splits["train"].rows[trouble]) == FEWEST // 2
    assert trouble not in found.splits["train"].usual


def test_faults_are_known_beyond_those_that_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqcli.diagnosis.examine.MOST_LISTED", 1)
    draw = random.Random(3)
    same = [(" ".join(draw.sample([pair[0] for pair in PAIRS], 2)),) * 2 for _ in range(3)]
    pairs = [*(pair for pair in PAIRS * 4), *same]
    found = examine({"train": [Row("x", line, *pair) for line, pair in enumerate(pairs, start=1)]}).splits["train"]
    assert len(found.rows["copied"]) == 3
    # what says the same on both sides is not told of the language too
    assert "target_language" not in found.rows


def test_a_failed_copy_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{one}\t{other}\n" for one, other in PAIRS), encoding="utf-8")
    splits = {"train": table_rows([str(path)], Columns(0, 1), "tsv")}
    found = examine(splits)

    def fail(*_: object) -> None:
        raise DataError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr("seqcli.diagnosis.cleaning._Cleaning.write", fail)
        for folder in (tmp_path / "new", tmp_path / "empty"):
            if folder.name == "empty":
                folder.mkdir()
            with pytest.raises(DataError, match="the disk is full"):
                clean(splits, found, folder)
    assert not (tmp_path / "new").exists()
    (result,) = clean(splits, found, tmp_path / "empty")
    assert sorted(each.name for each in (tmp_path / "empty").iterdir()) == ["changes.jsonl", "pairs.tsv"]
    assert result.files == [tmp_path / "empty/pairs.tsv"]


def test_no_file_is_called_as_the_list_of_changes(tmp_path: Path) -> None:
    path = in_jsonl(tmp_path, several(tmp_path)).rename(tmp_path / "changes.jsonl")
    splits = {"train": table_rows([str(path)], Columns(), "jsonl")}
    with pytest.raises(RecipeError, match=r"a file is called changes\.jsonl.*rename it"):
        clean(splits, examine(splits), tmp_path / "clean")
