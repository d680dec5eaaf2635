"""`seqcli doctor`: every format, what is listed, how it ends, and the cleaned copy."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from diagnosis.test_planted import sentences

PAIRS = [(source.decode(), target.decode()) for source, target in sentences(300, 5)]
# row → what is wrong with it, and what becomes of it
FAULTY = {
    10: (("", "A dog sees the man on the beach 3 times today."), "empty"),
    20: (("Ein Hund &amp; ein Mann am Strand", "A dog &amp; a man on the beach"), "entity"),
    30: (PAIRS[29], "duplicate"),
    40: (
        ("Ein JÃ¤ger sucht heute 7 Mal den Hund im Wald.", "A hunter looks for the dog in the woods 7 times today."),
        "mojibake",
    ),
}
MENDED = {
    20: ("Ein Hund & ein Mann am Strand", "A dog & a man on the beach"),
    40: (FAULTY[40][0][0].replace("Ã¤", "ä"), FAULTY[40][0][1]),
}


def spoilt() -> list[tuple[str, str]]:
    rows = list(PAIRS)
    for row, (pair, _) in FAULTY.items():
        rows[row] = pair
    return rows


def cleaned() -> list[tuple[str, str]]:
    return [MENDED.get(row, pair) for row, pair in enumerate(spoilt()) if row not in (10, 30)]


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(format: str, rows: list[tuple[str, str]]) -> list[str]:
    """A data set in a format; the arguments that name it."""
    if format == "text":
        for side, name in enumerate(("train.de", "train.en")):
            Path(name).write_text("".join(f"{pair[side]}\n" for pair in rows), encoding="utf-8")
        return ["train.de", "train.en"]
    if format == "jsonl":
        lines = [
            json.dumps({"source": source, "target": target, "n": n}, ensure_ascii=False)
            for n, (source, target) in enumerate(rows)
        ]
        Path("train.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return ["train.jsonl"]
    if format == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(
            pa.table({"source": [a for a, _ in rows], "target": [b for _, b in rows], "n": list(range(len(rows)))}),
            "train.parquet",
        )
        return ["train.parquet"]
    if format == "csv":
        quoted = ['"' + '","'.join(cell.replace('"', '""') for cell in pair) + '"' for pair in rows]
        Path("train.csv").write_text("".join(f"{line}\n" for line in ["source,target", *quoted]), encoding="utf-8")
        return ["train.csv"]
    data = "".join(f"{source}\t{target}\n" for source, target in rows).encode()
    if format == "tsv.gz":
        Path("train.tsv.gz").write_bytes(gzip.compress(data))
        return ["train.tsv.gz"]
    Path("train.tsv").write_bytes(data)
    return ["train.tsv"]


def read(folder: Path, format: str) -> list[tuple[str, str]]:
    from seqcli.data.columns import Columns
    from seqcli.data.files import read_files, read_text

    if format == "text":
        corpus = read_text([str(folder / "train.de")], [str(folder / "train.en")])
    else:
        columns = Columns(0, 1) if format.startswith("tsv") else Columns()
        corpus = read_files([str(folder / f"train.{format}")], columns)
    return [(example.source, example.target or "") for example in corpus.read()]


@pytest.mark.parametrize("format", ["text", "tsv", "tsv.gz", "csv", "jsonl", "parquet"])
def test_every_format(call: Callable[..., Any], format: str) -> None:
    arguments = write(format, spoilt())
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    ended = call("doctor", *arguments, "--json")
    assert ended.code == 3
    found = json.loads(ended.out)
    first = 2 if format == "csv" else 1
    assert {(fault["line"] - first, fault["fault"]) for fault in found["faults"]} == {
        (row, kind) for row, (_, kind) in FAULTY.items()
    }
    assert all(fault["remedy"] and fault["value"] for fault in found["faults"])
    ended = call("doctor", *arguments, "--clean", "clean")
    assert ended.code == 0, ended.err
    assert read(Path("clean"), format) == cleaned()
    assert "removed: 1 empty, 1 duplicate; mended: " in ended.err
    changes = [json.loads(line) for line in Path("clean/changes.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted(change["line"] - first for change in changes) == sorted(FAULTY)
    assert {name: Path(name).read_bytes() for name in before} == before
    assert call("doctor", *[f"clean/{name}" for name in arguments]).code == 0
    # nothing is overwritten
    ended = call("doctor", *arguments, "--clean", "clean")
    assert (ended.code, ended.err) == (
        2,
        "clean: there is something already; give a new folder, since nothing is overwritten\n",
    )


def test_test_sets_stay_as_they_are(call: Callable[..., Any]) -> None:
    write("tsv", PAIRS[:200])
    test = [*PAIRS[250:], ("", "nothing"), PAIRS[3]]
    Path("test.tsv").write_text("".join(f"{source}\t{target}\n" for source, target in test), encoding="utf-8")
    ended = call("doctor", "train.tsv", "--test", "test.tsv", "--clean", "clean")
    assert ended.code == 0
    assert Path("clean/test.tsv").read_bytes() == Path("test.tsv").read_bytes()
    assert "test as it is, 52 rows" in ended.err
    assert "removed: 1 leaked_pair" in ended.err
    assert len(Path("clean/train.tsv").read_text().splitlines()) == 199
    ended = call("doctor", "train.tsv", "--test", "test.tsv", "--clean", "all", "--clean-all")
    assert len(Path("all/test.tsv").read_text().splitlines()) == 51


def test_what_cannot_be_read_is_listed(call: Callable[..., Any]) -> None:
    lines = ["\t".join(pair).encode() for pair in PAIRS[:50]]
    lines[4], lines[9] = b"one cell alone", "Stra\xdfe\tstreet".encode("latin-1")
    Path("train.tsv").write_bytes(b"\n".join(lines))
    ended = call("doctor", "train.tsv", "--json")
    told = [(fault["line"], fault["fault"]) for fault in json.loads(ended.out)["faults"]]
    assert told == [(5, "unreadable"), (10, "bytes")]
    Path("a.de").write_text("eins\nzwei\ndrei\n")
    Path("a.en").write_text("one\ntwo\n")
    ended = call("doctor", "a.de", "a.en", "--json")
    assert [(f["line"], f["fault"], f["value"]) for f in json.loads(ended.out)["faults"]] == [
        (3, "unreadable", "a.en has no such line: drei")
    ]


@pytest.mark.parametrize(
    ("name", "content", "rows", "told"),
    [
        # the columns are those that `seqcli train` would take
        ("a.tsv", "de\ten\nein Hund\ta dog\n", 1, []),
        ("a.csv", "word,tags,pronunciation\na,b,c\n", 1, []),
        ("a.jsonl", '{"de": "ein Hund", "en": "a dog"}\n{"de"\n', 2, [(2, "unreadable")]),
        ("a.csv", 'de,en\na,b\n"c" d,e\n', 2, [(3, "unreadable")]),
        # and where it would refuse the file, the first two
        ("a.tsv", b"Stra\xdfe\tstreet\nHund\tdog\n", 2, [(1, "bytes")]),
        ("a.tsv", "one\nHund\tdog\n", 2, [(1, "unreadable")]),
    ],
)
def test_columns_that_are_not_named(
    call: Callable[..., Any], name: str, content: str | bytes, rows: int, told: list[tuple[int, str]]
) -> None:
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    ended = call("doctor", name, "--json")
    assert ended.code == (3 if told else 0), ended.err
    found = json.loads(ended.out)
    assert found["splits"]["train"]["rows"] == rows
    assert [(fault["line"], fault["fault"]) for fault in found["faults"]] == told


def test_what_cannot_be_mended_is_told(call: Callable[..., Any]) -> None:
    rows = [{"source": source, "target": [target, f"{target} Yes."]} for source, target in PAIRS[:50]]
    rows[5]["target"] = ["A dog &amp; a man", "two"]
    Path("train.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    ended = call("doctor", "train.jsonl", "--columns", "source,target", "--clean", "clean")
    assert "mended: none; not mended, since the text cannot be changed by itself: 1 entity" in ended.err


def test_what_is_printed(call: Callable[..., Any]) -> None:
    write("tsv", spoilt())
    ended = call("doctor", "train.tsv", "--limit", "1")
    assert "  train.tsv:11  source  the other side: A dog sees the man on the beach 3 times today." in ended.out
    assert "entity in train: an HTML entity that was not unescaped (1); unescape it" in ended.out
    assert call("doctor", *write("tsv", PAIRS)).code == 0


def test_recipes_and_runs(call: Callable[..., Any], copy_run: Path) -> None:
    ended = call("doctor", copy_run, "--json")
    found = json.loads(ended.out)
    assert list(found["splits"]) == ["train", "validation", "test"]
    assert call("doctor", "copy", "data.examples=300", "--quiet").code in (0, 3)
    write("tsv", PAIRS)
    Path("r.yaml").write_text("data: {kind: files, train: train.tsv, columns: {source: 0, target: 1}}\nsource: {tokenizer: {kind: words}}\n"
                              "target: {tokenizer: {kind: words}}\nmodel: {encoder: {kind: gru}, decoder: {kind: gru}}\n"
                              "training: {steps: 10}\n")  # fmt: skip
    ended = call("doctor", "r.yaml")
    assert ended.code == 0, ended.err


def test_what_cannot_be_examined(call: Callable[..., Any]) -> None:
    write("tsv", PAIRS)
    for arguments, beginning in (
        (("nowhere",), "nowhere: there is no such recipe"),
        (("train.tsv", "--columns", "0"), "--columns 0: give two columns"),
        (("train.tsv", "--columns", "a,b"), "train.tsv:1: there is no column 'a'"),
        (("missing.tsv",), "missing.tsv: there is no such file"),
        (("copy", "--test", "x"), "copy is a recipe"),
        (("copy", "--clean", "out"), "only data in files can be cleaned"),
        (("train.tsv", "--test", "train.tsv", "--clean", "out"), "two files are called train.tsv"),
    ):
        ended = call("doctor", *arguments)
        assert ended.code in (2, 3), arguments
        assert ended.err.startswith(beginning), ended.err


@pytest.mark.parametrize("text", ["", "source\ttarget\n"])
def test_nothing_is_not_sound(call: Callable[..., Any], text: str) -> None:
    Path("empty.tsv").write_text(text)
    ended = call("doctor", "empty.tsv")
    assert ended.code == 3
    assert "there is nothing to learn from" in ended.out


def test_tasks_are_looked_at_one_by_one(call: Callable[..., Any]) -> None:
    """A pair that two tasks share is in neither twice, and each is cleaned into a folder of its own."""
    for name, rows in {"one.tsv": spoilt(), "two.tsv": PAIRS}.items():
        Path(name).write_text("".join(f"{source}\t{target}\n" for source, target in rows), encoding="utf-8")
    tasks = ", ".join(
        f"{name}: {{kind: files, train: {name}.tsv, columns: {{source: 0, target: 1}}}}" for name in ("one", "two")
    )
    data = f"data={{kind: tasks, tasks: {{{tasks}}}}}"
    found = call("doctor", "copy", data, "--json")
    record = json.loads(found.out)
    assert (found.code, record["sound"]) == (3, False)
    counts = {task: one["splits"]["train"]["counts"] for task, one in record["tasks"].items()}
    assert counts["one"] == {kind: 1 for _, kind in FAULTY.values()}
    assert counts["two"] == {}
    assert record["tasks"]["two"]["sound"]
    ended = call("doctor", "copy", data, "--clean", "new")
    assert ended.code == 0
    assert [line.strip() for line in ended.out.splitlines() if line.strip() in record["tasks"]] == ["one", "two"]
    assert Path("new/one/one.tsv").read_text(encoding="utf-8") == "".join(f"{a}\t{b}\n" for a, b in cleaned())
    assert Path("new/two/two.tsv").read_bytes() == Path("two.tsv").read_bytes()
